/** The twin of `test/steps.ts` for Effect 4, which shows each step to the tracer, and each fiber to the metrics of the runtime. */
import { Clock, Context, Effect, Metric, Tracer } from "effect"

interface Counts {
  steps: number
  fibers: number
  timers: number
}

const counting = <A, E, R>(effect: Effect.Effect<A, E, R>, counts: Counts) =>
  Effect.flatMap(Clock.Clock, (clock) => {
    const tracer = Tracer.make({
      span: (options) => new Tracer.NativeSpan(options),
      context: (step, fiber) => {
        counts.steps++
        return (step as unknown as { "~effect/Effect/evaluate": (fiber: unknown) => never })["~effect/Effect/evaluate"](
          fiber
        )
      }
    })
    const counted = Object.create(clock, {
      sleep: { value: (duration: never) => Effect.andThen(Effect.sync(() => counts.timers++), clock.sleep(duration)) }
    }) as Clock.Clock
    const metrics = { recordFiberStart: () => void counts.fibers++, recordFiberEnd: () => {} }
    return Effect.provideContext(
      effect,
      Context.make(Tracer.Tracer, tracer).pipe(
        Context.add(Clock.Clock, counted),
        Context.add(Metric.FiberRuntimeMetrics, metrics)
      )
    )
  })

/** The last step is that of the exit itself. */
export const stepsOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const counts = { steps: 0, fibers: 0, timers: 0 }
    const answer = yield* counting(effect, counts)
    return { ...counts, answer, steps: counts.steps - 1 }
  })

export const countedFibers = Effect.sync(() => {
  let running = 0
  const metrics = { recordFiberStart: () => void running++, recordFiberEnd: () => void running-- }
  return {
    of: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provideService(effect, Metric.FiberRuntimeMetrics, metrics),
    running: (): number => running
  }
})
