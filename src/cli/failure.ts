/** The command did not succeed for a reason that the person can act on: one line, exit code 1. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
}

/** Text of a stranger on one line, without what a terminal would obey. */
export function inOneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ');
}
