/** The collects of groups and of everything: how many there were, and the number of the latest one of each name. */
import { randomInt } from "node:crypto"
import type { Names } from "../CollectableCacheStorage.js"
import { type Force, hard, soft, softUnlessError, spared } from "../storages/force.js"
import { listOf, numberOf, type Reply, textOf } from "./port.js"
import type { Moment } from "./record.js"
import { beginLedger, collectLedger } from "./scripts.js"
import type { Server } from "./server.js"

/** How the ledger and the hashes name a force. */
export const letterOf = { [softUnlessError]: "u", [soft]: "s", [hard]: "h" } as const

const letters = [["h", hard], ["s", soft], ["u", softUnlessError]] as const

/** The ledger at one moment, as far as it was asked about. */
export interface Page {
  readonly run: string
  readonly epoch: string
  /** The random name of this ledger, which is in its epoch. */
  readonly name: string
  readonly count: number
  readonly scores: ReadonlyMap<string, number>
}

const own: ReadonlyArray<string> = ["e", "n", "*h", "*s", "*u"]

/** Everything, and these groups. */
export const membersOf = (groups: ReadonlyArray<string>): ReadonlyArray<string> =>
  groups.length === 0
    ? ["*h", "*s", "*u"]
    : ["*h", "*s", "*u", "-", ...groups.flatMap((group) => letters.map(([letter]) => letter + group))]

/** The strongest collect of everything or of one of these groups after that moment. What is not known was collected. */
export const forceSince = (
  { count, epoch, scores }: Page,
  moment: Pick<Moment, "count" | "epoch">,
  groups: ReadonlyArray<string>
): Force => {
  if (epoch !== moment.epoch || (groups.length > 0 && scores.get("-")! > moment.count)) return hard
  if (count === moment.count) return spared
  for (const [letter, force] of letters) {
    if (scores.get(`*${letter}`)! > moment.count) return force
    for (const group of groups) if (scores.get(letter + group)! > moment.count) return force
  }
  return spared
}

/** Whether it was asked about these groups. */
export const knows = ({ scores }: Page, groups: ReadonlyArray<string>): boolean =>
  groups.every((group) => scores.has(`h${group}`))

/** Milliseconds. Whenever a fill begins, it is kept for so long; without it nothing that is stored is believed. */
const lasts = 30 * 24 * 60 * 60 * 1000

/** How many names it has room for. The oldest goes, and what is of any group and began before that is collected. */
const maxNames = 100_000

const randomName = (): string => String(randomInt(1, 2 ** 48 - 1))

interface Asked {
  readonly members: Set<string>
  readonly page: Promise<Page>
}

export class Ledger {
  readonly key: string
  private readonly server: Server
  private readonly channel: string
  /** Those who ask in one step ask together. */
  private asked: Asked | undefined

  constructor(server: Server, prefix: string, channel: string) {
    this.server = server
    this.channel = channel
    this.key = `${prefix}{collects}`
  }

  /** As it is after all that was sent before. */
  read(groups: ReadonlyArray<string>): Promise<Page> {
    const asked = this.asked ??= this.ask()
    for (const member of membersOf(groups)) asked.members.add(member)
    return asked.page
  }

  private ask(): Asked {
    const members = new Set(own)
    const page = Promise.resolve().then(async () => {
      this.asked = undefined
      const asked = [...members]
      const { reply, run } = await this.server.witness(this.key, asked)
      return pageOf(run, asked, reply)
    })
    return { members, page }
  }

  /** The same, for a fill that begins: it is there from then on. */
  async begin(groups: ReadonlyArray<string>): Promise<Page> {
    const members = [...new Set([...own, ...membersOf(groups)])]
    const reply = await this.server.run(beginLedger, [this.key], [randomName(), String(lasts), ...members])
    const [run, scores] = listOf(reply)
    return pageOf(this.server.runOf(this.key, run), members, scores ?? null)
  }

  async collect({ everything = false, groups }: Names, force: Exclude<Force, 0>, message: string): Promise<void> {
    const letter = letterOf[force]
    const members = groups.map((group) => letter + group)
    if (everything) members.push(`*${letter}`)
    const settings = [randomName(), String(lasts), String(maxNames), this.channel, message]
    await this.server.run(collectLedger, [this.key], [...settings, ...members])
  }
}

const pageOf = (run: string, members: ReadonlyArray<string>, reply: Reply): Page => {
  const replies = listOf(reply)
  const scores = new Map(members.map((member, at) => [member, numberOf(replies[at])]))
  const name = textOf(replies[members.indexOf("e")]) ?? ""
  // Without a name there is no ledger, and nothing is of it.
  return { run, epoch: name === "" ? "" : `${run}:${name}`, name, count: scores.get("n")!, scores }
}
