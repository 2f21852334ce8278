/** What numbers are told to. Effect 4 has another form of these. */
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricLabel from "effect/MetricLabel"

/** Records a number at once, also outside of all fibers. */
export type Instrument = (value: number) => void

interface Tags {
  readonly [name: string]: string
}

const tagsOf = (tags: Tags) => Object.entries(tags).map(([name, value]) => MetricLabel.make(name, value))

/** Adds to a number that only grows. */
export const counter = (name: string, description: string, tags: Tags = {}): Instrument => {
  const counter = Metric.taggedWithLabels(Metric.counter(name, { description, incremental: true }), tagsOf(tags))
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
  const untagged = Metric.histogram(name, MetricBoundaries.fromIterable(boundaries), description)
  const histogram = Metric.taggedWithLabels(untagged, tagsOf(tags))
  return (value) => histogram.unsafeUpdate(value, [])
}
