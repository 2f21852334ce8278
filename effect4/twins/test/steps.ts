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

export const stepsOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const [nothing, counts] = [{ steps: 0, fibers: 0, timers: 0 }, { steps: 0, fibers: 0, timers: 0 }]
    yield* counting(Effect.succeed(undefined), nothing)
    const answer = yield* counting(effect, counts)
    return { answer, steps: counts.steps - nothing.steps, fibers: counts.fibers, timers: counts.timers }
  })
