/** One operation of a concurrent history, as a checker of linearizability sees it. */
export interface Operation<S> {
  /** For reports. */
  readonly name: string;
  /** Its place among all calls and answers of the history. */
  readonly called: number;
  /** Infinity for an operation that nobody knows the outcome of: it may take effect at any time after its call, or never. */
  readonly returned: number;
  /** The state after it; undefined when it can't take effect in `state` with the result that it had. Must not change `state`. */
  step(state: S): S | undefined;
}

/** The object that the operations are said to work on, as a sequential program has it. */
export interface SequentialModel<S> {
  readonly initial: S;
  /** Equal for equal states, and only for them. */
  key(state: S): string;
}

/** `undecided`: the search was given up. `violated` names the operation that the longest legal order could not go beyond. */
export type Verdict =
  | { readonly kind: 'linearizable' }
  | { readonly kind: 'undecided' }
  | { readonly kind: 'violated'; readonly at: string; readonly state: string };

/**
 * Whether some order of the operations, which keeps "answered before called", explains all results: the search of Wing and Gong with Lowe's memory of what has been tried.
 * Operations of unknown outcome are tried last, and an attempt is dropped when an earlier one has failed that differed only in having used fewer of them.
 *
 * @param maxSteps bound on how often an operation is tried
 */
export function checkLinearizable<S>(model: SequentialModel<S>, operations: readonly Operation<S>[], maxSteps: number): Verdict {
  return new Search(model, operations).run(maxSteps);
}

interface Frame<S> {
  readonly state: S;
  /** What can be next; `at` is the place of the one that is being tried. */
  readonly candidates: readonly number[];
  at: number;
}

class Search<S> {
  readonly #model: SequentialModel<S>;
  /** In the order of the calls; those of known outcome, then the others. */
  readonly #operations: readonly Operation<S>[];
  readonly #known: number;
  readonly #done: boolean[];
  /** Below this every operation of known outcome is done. */
  #first = 0;
  #doneKnown = 0;
  /** By progress and state: the sets of unknown ones that had been used there. */
  readonly #tried = new Map<string, boolean[][]>();
  #steps = 0;
  #longest = -1;
  #stuck = { at: '', state: '' };

  constructor(model: SequentialModel<S>, operations: readonly Operation<S>[]) {
    this.#model = model;
    const byCall = (a: Operation<S>, b: Operation<S>): number => a.called - b.called;
    const known = operations.filter((o) => o.returned !== Number.POSITIVE_INFINITY).sort(byCall);
    const unknown = operations.filter((o) => o.returned === Number.POSITIVE_INFINITY).sort(byCall);
    this.#operations = [...known, ...unknown];
    this.#known = known.length;
    this.#done = this.#operations.map(() => false);
  }

  run(maxSteps: number): Verdict {
    const stack: Frame<S>[] = [this.#frame(this.#model.initial)];
    while (this.#doneKnown < this.#known) {
      if (this.#steps > maxSteps) return { kind: 'undecided' };
      const frame = stack.at(-1);
      if (frame === undefined) return { kind: 'violated', ...this.#stuck };
      const next = this.#tryNext(frame);
      if (next === undefined) {
        stack.pop();
        const before = stack.at(-1);
        if (before !== undefined) this.#undo(before.candidates[before.at]);
        continue;
      }
      stack.push(this.#frame(next));
    }
    return { kind: 'linearizable' };
  }

  /** Moves the frame to its next candidate that leads somewhere new, and does it. */
  #tryNext(frame: Frame<S>): S | undefined {
    while (++frame.at < frame.candidates.length) {
      this.#steps++;
      const candidate = frame.candidates[frame.at];
      const next = this.#operations[candidate].step(frame.state);
      if (next === undefined) continue;
      this.#do(candidate);
      if (this.#isNew(next)) return next;
      this.#undo(candidate);
    }
    return undefined;
  }

  #frame(state: S): Frame<S> {
    const { candidates, limit } = this.#candidates();
    if (this.#doneKnown > this.#longest && candidates.length > 0) {
      this.#longest = this.#doneKnown;
      const blocking = candidates.find((i) => this.#operations[i].returned === limit);
      this.#stuck = { at: blocking === undefined ? '' : this.#operations[blocking].name, state: this.#model.key(state) };
    }
    return { state, candidates, at: -1 };
  }

  /** What was called before the first answer among all that is not done yet. */
  #candidates(): { candidates: number[]; limit: number } {
    const operations = this.#operations;
    const candidates: number[] = [];
    let limit = Number.POSITIVE_INFINITY;
    for (let i = this.#first; i < this.#known && operations[i].called < limit; i++) {
      if (this.#done[i]) continue;
      candidates.push(i);
      limit = Math.min(limit, operations[i].returned);
    }
    const possible = candidates.filter((i) => operations[i].called < limit);
    // Those that are answered first are tried first: most likely they took effect first.
    possible.sort((a, b) => operations[a].returned - operations[b].returned);
    for (let i = this.#known; i < operations.length && operations[i].called < limit; i++) if (!this.#done[i]) possible.push(i);
    return { candidates: possible, limit };
  }

  #do(index: number): void {
    this.#done[index] = true;
    if (index >= this.#known) return;
    this.#doneKnown++;
    while (this.#first < this.#known && this.#done[this.#first]) this.#first++;
  }

  #undo(index: number): void {
    this.#done[index] = false;
    if (index >= this.#known) return;
    this.#doneKnown--;
    this.#first = Math.min(this.#first, index);
  }

  #isNew(state: S): boolean {
    const beyond: number[] = [];
    for (let i = this.#first + 1, left = this.#doneKnown - this.#first; left > 0; i++) {
      if (!this.#done[i]) continue;
      beyond.push(i);
      left--;
    }
    const key = `${this.#first}:${beyond}:${this.#model.key(state)}`;
    const used = this.#done.slice(this.#known);
    const tried = this.#tried.get(key);
    if (tried === undefined) {
      this.#tried.set(key, [used]);
      return true;
    }
    if (tried.some((set) => set.every((was, i) => !was || used[i]))) return false;
    tried.push(used);
    return true;
  }
}
