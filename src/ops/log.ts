import type { LoggerService } from '@nestjs/common';
import { pino, type DestinationStream, type Logger as Pino } from 'pino';
import { type PrettyOptions, PinoPretty } from 'pino-pretty';
import type { SettingsValues } from '../config/settings.js';
import { errorFacts, framesOf } from './error-facts.js';
import { redact, redactData } from './redact.js';

/** The framework's own start-up chatter: of use only while debugging. */
const CHATTER = new Set(['InstanceLoader', 'NestApplication', 'NestFactory', 'RouterExplorer', 'RoutesResolver']);

/** Contexts in which the framework logs a failed start before it throws: whoever started it tells the operator, in one line. */
const REPORTED = new Set(['ExceptionHandler', 'NestApplication']);

/** Where log lines go, and how they look. */
export type LogSettings = Pick<SettingsValues, 'logLevel'> & { readonly format: 'json' | 'pretty' };

/** Nest's logger over pino: one JSON object a line, or coloured lines on a terminal; secrets are hidden on the way. */
export class Log implements LoggerService {
  readonly pino: Pino;

  /** @param destination standard output unless a test wants to read along */
  constructor({ logLevel, format }: LogSettings, destination?: DestinationStream) {
    this.pino = pino(
      {
        level: logLevel,
        base: null,
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (level) => ({ level }) },
      },
      format === 'pretty' ? pretty(destination) : (destination ?? pino.destination({ dest: 1, sync: false })),
    );
  }

  log(message: unknown, ...rest: unknown[]): void {
    const context = contextOf(rest);
    this.#write(context !== undefined && CHATTER.has(context) ? 'debug' : 'info', message, rest);
  }

  error(message: unknown, ...rest: unknown[]): void {
    const context = contextOf(rest);
    this.#write(context !== undefined && REPORTED.has(context) ? 'debug' : 'error', message, rest);
  }

  warn(message: unknown, ...rest: unknown[]): void {
    this.#write('warn', message, rest);
  }

  debug(message: unknown, ...rest: unknown[]): void {
    this.#write('debug', message, rest);
  }

  verbose(message: unknown, ...rest: unknown[]): void {
    this.#write('trace', message, rest);
  }

  fatal(message: unknown, ...rest: unknown[]): void {
    this.#write('fatal', message, rest);
  }

  /** Everything written so far is out when it returns. */
  flush(): Promise<void> {
    return new Promise((resolve) => this.pino.flush(() => resolve()));
  }

  #write(level: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace', message: unknown, rest: unknown[]): void {
    if (!this.pino.isLevelEnabled(level)) return;
    const context = contextOf(rest);
    const facts: Record<string, unknown> = context === undefined ? {} : { context };
    for (const extra of context === undefined ? rest : rest.slice(0, -1)) addFacts(facts, extra);
    if (message instanceof Error) this.pino[level]({ ...facts, error: errorFacts(message) }, redact(message.message));
    else if (typeof message === 'object' && message !== null) this.pino[level](redactData({ ...facts, ...message }));
    else this.pino[level](facts, redact(String(message)));
  }
}

function addFacts(facts: Record<string, unknown>, extra: unknown): void {
  if (extra === undefined || extra === null) return;
  if (extra instanceof Error) facts['error'] = errorFacts(extra);
  else if (typeof extra === 'string' && /\n\s+at /.test(extra)) facts['at'] = framesOf(extra);
  else if (typeof extra === 'object') Object.assign(facts, redactData(extra));
  else if (typeof extra === 'string' || typeof extra === 'number' || typeof extra === 'boolean')
    facts['detail'] = redact(`${extra}`);
}

/** Nest passes the context last. */
function contextOf(rest: readonly unknown[]): string | undefined {
  const last = rest.at(-1);
  return typeof last === 'string' && !last.includes('\n') ? last : undefined;
}

function pretty(destination?: DestinationStream): DestinationStream {
  const options: PrettyOptions = {
    translateTime: 'SYS:HH:MM:ss',
    ignore: 'pid,hostname,context,requestId',
    messageFormat: '{if context}{context}: {end}{msg}',
    sync: true,
    ...(destination ? { destination, colorize: false } : {}),
  };
  return PinoPretty(options);
}
