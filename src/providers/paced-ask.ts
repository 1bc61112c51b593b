import { UpstreamUnavailable } from './contract.js';

/** Seconds between two attempts at an upstream that fails. */
const STEADY_GAP = 30;

/** What an ask needs of the house, and how it is called in the log. */
export interface AskFacts {
  /** Begins the log line of a failed attempt, for example `remote: discovery failed`; asked for at each. */
  readonly failed: () => string;
  readonly log: { error(message: string): void };
  /** Seconds on a monotonic clock. */
  readonly now: () => number;
}

/**
 * One question to an upstream that many callers want answered. Callers share an attempt; after a failure nobody causes another one before its time,
 * however many ask: 1, 2, 4, 8, 16 and then 30 s later while it has never answered, 30 s later once it has. Each failed attempt is one log line.
 */
export class PacedAsk<Answer> {
  #asking: Promise<Answer> | undefined;
  #hasAnswered = false;
  #failures = 0;
  #failedAt = -Infinity;
  #failure: unknown;
  #timer: NodeJS.Timeout | undefined;
  #isKeptUp = false;

  constructor(
    private readonly attempt: () => Promise<Answer>,
    private readonly facts: AskFacts,
  ) {}

  /** Is an attempt on its way? */
  get isAsking(): boolean {
    return this.#asking !== undefined;
  }

  /** Did the last attempt fail? */
  get isFailing(): boolean {
    return this.#failures > 0;
  }

  /** Seconds until the upstream may be asked again; 0: now. */
  get wait(): number {
    if (this.#failures === 0) return 0;
    const gap = this.#hasAnswered ? STEADY_GAP : Math.min(STEADY_GAP, 2 ** (this.#failures - 1));
    return Math.max(0, this.#failedAt + gap - this.facts.now());
  }

  /**
   * Joins the attempt that is on its way, or makes one when it is time.
   * @throws UpstreamUnavailable it failed, now or when it was last tried
   */
  ask(): Promise<Answer> {
    if (this.#asking) return this.#asking;
    if (this.wait > 0) return Promise.reject(this.#asError());
    this.#asking = this.#try().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /** Asks in the background until there was an answer, so that the log tells of a dead upstream before the first caller does. */
  keepAsking(): void {
    this.#isKeptUp = true;
    this.ask().catch(() => {
      if (!this.#isKeptUp) return;
      this.#timer = setTimeout(() => this.keepAsking(), Math.ceil(this.wait * 1000) + 1);
      this.#timer.unref();
    });
  }

  /** Ends `keepAsking`. */
  stop(): void {
    this.#isKeptUp = false;
    clearTimeout(this.#timer);
  }

  async #try(): Promise<Answer> {
    try {
      const answer = await this.attempt();
      this.#hasAnswered = true;
      this.#failures = 0;
      return answer;
    } catch (failure) {
      this.#failures++;
      this.#failedAt = this.facts.now();
      this.#failure = failure;
      this.facts.log.error(
        `${this.facts.failed()}; trying again in ${this.#retryAfter} s: ${failure instanceof Error ? failure.message : String(failure)}`,
      );
      throw this.#asError();
    }
  }

  get #retryAfter(): number {
    return Math.max(1, Math.ceil(this.wait));
  }

  /** A bug stays what it is; everything else says when to come back, and that it stands in the log. */
  #asError(): unknown {
    const failure = this.#failure;
    if (!(failure instanceof UpstreamUnavailable)) return failure;
    return new UpstreamUnavailable(failure.message, this.#retryAfter, { cause: failure, isQuiet: true });
  }
}
