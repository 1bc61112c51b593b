/** Seconds between two lines about the same thing. */
const AGAIN = 60;
const LINE_LENGTH = 600;

/** Writes about each subject at most once a minute: what strangers and misconfigured clients send cannot fill the log. */
export class SeldomLog {
  readonly #saidAt = new Map<string, number>();

  /** @param now seconds on a monotonic clock */
  constructor(
    private readonly write: (line: string) => void,
    private readonly now: () => number,
  ) {}

  /** @param subject one of a few fixed names, never something that came from outside */
  say(subject: string, line: string): void {
    const now = this.now();
    if (now - (this.#saidAt.get(subject) ?? -Infinity) < AGAIN) return;
    this.#saidAt.set(subject, now);
    this.write(line.slice(0, LINE_LENGTH));
  }
}
