/** What OpenTelemetry's conventions call a value beyond the known ones. */
const OTHER = '_OTHER';

/**
 * Keeps the values of an attribute few. Each one makes a further time series wherever metrics are stored, and some are
 * words of the application's own, which may be anything: after so many different ones, the rest are all `_OTHER`.
 */
export class BoundedWords {
  readonly #known = new Set<string>();

  constructor(private readonly most: number) {}

  of(word: string): string {
    if (!this.#known.has(word)) {
      if (this.#known.size >= this.most) {
        return OTHER;
      }
      this.#known.add(word);
    }
    return word;
  }
}
