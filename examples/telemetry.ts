/**
 * The quickstart with telemetry: Prometheus scrapes its metrics at http://localhost:9464/metrics, `METRICS_PORT` is another
 * port, and its spans are printed. `examples/grafana.json` is a dashboard for the metrics.
 */
import * as NodeSdk from "@effect/opentelemetry/NodeSdk"
import { NodeRuntime } from "@effect/platform-node"
import { PrometheusExporter } from "@opentelemetry/exporter-prometheus"
import { ConsoleSpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base"
import { Config, Effect, Layer } from "effect"
import { main, services } from "./quickstart.js"

const telemetry = Layer.unwrapEffect(
  Effect.map(Config.withDefault(Config.port("METRICS_PORT"), 9464), (port) =>
    NodeSdk.layer(() => ({
      resource: { serviceName: "quickstart" },
      metricReader: new PrometheusExporter({ port }),
      spanProcessor: new SimpleSpanProcessor(new ConsoleSpanExporter())
    })))
)

NodeRuntime.runMain(Effect.provide(main(services), telemetry))
