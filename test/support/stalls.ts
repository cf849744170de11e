const TICK = 10;
/** A tick so late says that this process had no processor, or did not let it go, in milliseconds. */
const LATE = 20;

/** When this process stood still: client, server and test share it, and the machine may be somebody else's too. */
export class Stalls {
  readonly #stalls: { from: number; to: number }[] = [];
  #last = performance.now();
  readonly #timer = setInterval(() => this.#look(), TICK);

  /** What a response took, without the time in which nothing could happen. */
  timeOf({ start, end }: { start: number; end: number }): number {
    // The timer may be late for a stall that has just ended.
    this.#look();
    const stood = this.#stalls.reduce(
      (sum, { from, to }) => sum + Math.max(0, Math.min(to, end) - Math.max(from, start)),
      0,
    );
    return end - start - stood;
  }

  get longest(): number {
    return Math.max(0, ...this.#stalls.map(({ from, to }) => to - from));
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = performance.now();
    if (now - this.#last > TICK + LATE) this.#stalls.push({ from: this.#last + TICK, to: now });
    this.#last = now;
  }
}
