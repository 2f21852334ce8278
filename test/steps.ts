/** Counts what an effect takes to run. */
import { Chunk, Effect, RuntimeFlags, RuntimeFlagsPatch, Supervisor, TestClock } from "effect"

/** Counts the steps that fibers take, and the fibers that are started. */
class Counter extends Supervisor.AbstractSupervisor<void> {
  override readonly value = Effect.void
  readonly steps: Array<string> = []
  fibers = 0

  override onStart(): void {
    this.fibers++
  }

  override onEffect(_: unknown, effect: Effect.Effect<unknown, unknown, unknown>): void {
    this.steps.push((effect as unknown as { readonly _op: string })._op)
  }
}

/** The steps of an effect without those of counting them, and the fibers and timers that it starts. */
export const stepsOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const run = <A, E, R>(effect: Effect.Effect<A, E, R>, counter: Counter) =>
      effect.pipe(
        Effect.withRuntimeFlagsPatch(RuntimeFlagsPatch.enable(RuntimeFlags.OpSupervision)),
        Effect.supervised(counter)
      )
    const [nothing, counter] = [new Counter(), new Counter()]
    yield* run(Effect.succeed(undefined), nothing)
    const before = Chunk.size(yield* TestClock.sleeps())
    const answer = yield* run(effect, counter)
    const timers = Chunk.size(yield* TestClock.sleeps()) - before
    return { answer, steps: counter.steps.length - nothing.steps.length, fibers: counter.fibers, timers }
  })

/** Counts the fibers that an effect starts and that have not ended. */
export const countedFibers = Effect.map(Supervisor.track, (supervisor) => ({
  of: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.supervised(effect, supervisor),
  running: (): number => Effect.runSync(supervisor.value).length
}))
