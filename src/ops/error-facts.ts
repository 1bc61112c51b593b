import { redact } from './redact.js';

/** What the log says of an error. */
export interface ErrorFacts {
  readonly type: string;
  readonly message: string;
  /** Where it was thrown, innermost first; file names without their folders (security.md 47: no paths of the host). */
  readonly at?: readonly string[];
  readonly cause?: ErrorFacts;
}

const FRAMES = 8;
const CAUSES = 4;

/** An error with its causes, without secrets and host paths. */
export function errorFacts(error: Error, depth = 0): ErrorFacts {
  const at = framesOf(error.stack);
  return {
    type: error.name,
    message: redact(error.message),
    ...(at.length > 0 ? { at } : {}),
    ...(error.cause instanceof Error && depth < CAUSES ? { cause: errorFacts(error.cause, depth + 1) } : {}),
  };
}

/** Frames of a stack as `function (file.js:12:3)`. */
export function framesOf(stack: string | undefined): string[] {
  return (stack ?? '')
    .split('\n')
    .map((line) => /^\s*at (?:(.+?) \()?(?:file:\/\/)?(.*?):(\d+):(\d+)\)?$/.exec(line))
    .filter((match) => match !== null)
    .slice(0, FRAMES)
    .map(
      ([, name, file = '', line, column]) =>
        `${name ?? 'anonymous'} (${file.replace(/^.*[/\\]/, '')}:${line}:${column})`,
    );
}
