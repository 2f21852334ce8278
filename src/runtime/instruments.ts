/** What numbers are told to. Effect 4 has another form of these. */
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricKey from "effect/MetricKey"
import * as MetricLabel from "effect/MetricLabel"

/** Records a number at once, also outside of all fibers. */
export type Instrument = (value: number) => void

interface Tags {
  readonly [name: string]: string
}

/** Its tags are part of its key: tags that a metric has beside its key are put together again for each number. */
const tagged = <Key extends MetricKey.MetricKey.Untyped>(key: Key, tags: Tags) =>
  Metric.fromMetricKey(
    MetricKey.taggedWithLabels(key, Object.entries(tags).map(([name, value]) => MetricLabel.make(name, value)))
  )

/** Adds to a number that only grows. */
export const counter = (name: string, description: string, tags: Tags = {}): Instrument => {
  const counter = tagged(MetricKey.counter(name, { description, incremental: true }), tags)
  return (by) => counter.unsafeUpdate(by, [])
}

/** Adds to a number that goes up and down. */
export const gauge = (name: string, description: string): Instrument => {
  const gauge = Metric.gauge(name, { description })
  return (by) => gauge.unsafeModify(by, [])
}

/** Counts how many values are within each of the boundaries. */
export const histogram = (
  name: string,
  description: string,
  boundaries: ReadonlyArray<number>,
  tags: Tags
): Instrument => {
  const histogram = tagged(MetricKey.histogram(name, MetricBoundaries.fromIterable(boundaries), description), tags)
  return (value) => histogram.unsafeUpdate(value, [])
}
