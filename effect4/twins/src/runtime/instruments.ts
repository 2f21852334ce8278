import * as Context from "effect/Context"
import * as Metric from "effect/Metric"

export type Instrument = (value: number) => void

interface Tags {
  readonly [name: string]: string
}

const none = Context.empty()

export const counter = (name: string, description: string, attributes: Tags = {}): Instrument => {
  const counter = Metric.counter(name, { description, attributes, incremental: true })
  return (by) => counter.updateUnsafe(by, none)
}

export const gauge = (name: string, description: string): Instrument => {
  const gauge = Metric.gauge(name, { description })
  return (by) => gauge.modifyUnsafe(by, none)
}

export const histogram = (
  name: string,
  description: string,
  boundaries: ReadonlyArray<number>,
  attributes: Tags
): Instrument => {
  const histogram = Metric.histogram(name, { description, boundaries, attributes })
  return (value) => histogram.updateUnsafe(value, none)
}
