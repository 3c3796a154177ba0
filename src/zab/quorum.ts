import { assert } from '../util/assert.ts';

/** A server that votes. `group` is there for all of them (hierarchical quorums) or for none (majority). */
export interface Voter {
  readonly id: number;
  readonly weight?: number;
  readonly group?: number;
}

/** A set of participants as bits: bit k stands for the k-th participant in `QuorumRules.ids`. */
export type VoterSet = number;

/** The most participants that a {@link VoterSet} can hold. */
export const MAX_PARTICIPANTS = 31;

/**
 * Which sets of participants are a quorum (PROTOCOL 14.4). Majority: more than half of the participants. Hierarchical: more than half of the groups
 * (those with any weight) each with more than half of their weight. Observers are not known here, so they never count (fault 2959).
 *
 * With `next`, while nobody knows whether those or these are the members, a quorum is one of both (PROTOCOL 14.4, reconfig).
 */
export class QuorumRules {
  readonly ids: readonly number[];
  readonly #bits = new Map<number, number>();
  readonly #rules: readonly Rule[];

  constructor(voters: readonly Voter[], next: readonly Voter[] = []) {
    this.ids = [...new Set([...voters, ...next].map((v) => v.id))];
    assert(voters.length >= 1 && this.ids.length <= MAX_PARTICIPANTS, `1 to ${MAX_PARTICIPANTS} participants, not ${this.ids.length}`);
    for (const [k, id] of this.ids.entries()) this.#bits.set(id, 1 << k);
    this.#rules = [voters, next].filter((some) => some.length > 0).map((some) => new Rule(some, this.#bits));
  }

  /** The set with only server `id` in it; empty for a server that does not vote. */
  bit(id: number): VoterSet {
    return this.#bits.get(id) ?? 0;
  }

  isVoter(id: number): boolean {
    return this.#bits.has(id);
  }

  /** The voter's weight; a server of weight 0 is never preferred as leader. Majority quorums: 1. */
  weight(id: number): number {
    return Math.max(...this.#rules.map((rule) => rule.weight(id)));
  }

  isQuorum(set: VoterSet): boolean {
    for (const rule of this.#rules) if (!rule.isQuorum(set)) return false;
    return true;
  }
}

/** The rule of one set of voters. */
class Rule {
  readonly #all: VoterSet;
  readonly #count: number;
  readonly #groups: { mask: number; need: number; members: { bit: number; weight: number }[] }[] = [];
  readonly #weights = new Map<number, number>();
  readonly #hierarchical: boolean;

  constructor(voters: readonly Voter[], bits: ReadonlyMap<number, number>) {
    const bit = (id: number): number => bits.get(id) as number;
    this.#all = voters.reduce((set, v) => set | bit(v.id), 0);
    this.#count = voters.length;
    this.#hierarchical = voters.some((v) => v.group !== undefined);
    for (const v of voters) this.#weights.set(v.id, v.weight ?? 1);
    if (!this.#hierarchical) return;
    const byGroup = new Map<number | undefined, Voter[]>();
    for (const v of voters) byGroup.set(v.group, [...(byGroup.get(v.group) ?? []), v]);
    for (const members of byGroup.values()) {
      const total = members.reduce((sum, v) => sum + this.weight(v.id), 0);
      if (total === 0) continue;
      const parts = members.map((v) => ({ bit: bit(v.id), weight: this.weight(v.id) }));
      this.#groups.push({ mask: parts.reduce((m, p) => m | p.bit, 0), need: Math.floor(total / 2), members: parts });
    }
  }

  weight(id: number): number {
    return this.#hierarchical ? (this.#weights.get(id) ?? 0) : 1;
  }

  isQuorum(set: VoterSet): boolean {
    if (!this.#hierarchical) return popCount(set & this.#all) * 2 > this.#count;
    let groups = 0;
    for (const group of this.#groups) {
      let weight = 0;
      for (const member of group.members) if (set & member.bit) weight += member.weight;
      if (weight > group.need) groups++;
    }
    return groups > Math.floor(this.#groups.length / 2);
  }
}

function popCount(set: number): number {
  let n = 0;
  for (let rest = set; rest !== 0; rest &= rest - 1) n++;
  return n;
}
