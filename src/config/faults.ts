import type { z } from 'zod';

/** What is told of one setting that a schema refused. */
export interface Refused {
  /** Variable or option, as its source calls it. */
  readonly name: string;
  readonly secret: boolean;
  /** What was written; undefined: nothing. */
  readonly got: unknown;
  readonly description: string | undefined;
}

/** `params` of a custom issue whose message is known to hold nothing of a secret: it is shown as it is. */
export const REPEATS_NOTHING = { repeatsNothing: true } as const;

/** One sentence about a refused setting: its name, what it got and what it wants. A secret's value never appears in it. */
export function faultSentence(refused: Refused, issue: z.core.$ZodIssue): string {
  if (refused.got === undefined)
    return `${refused.name}: is missing${refused.description ? `; wants ${lowerFirst(refused.description)}` : ''}`;
  const wants = wantsOf(issue, refused.description);
  if (!refused.secret) return `${refused.name}: got ${shown(refused.got)}, ${wants}`;
  return `${refused.name}: got a value that is not shown here, ${isVouched(issue) || !leaks(wants, refused.got) ? wants : 'which does not fit'}`;
}

function wantsOf(issue: z.core.$ZodIssue, description: string | undefined): string {
  if (issue.code === 'custom' || /^(wants|must|is|has|but|which) /.test(issue.message)) return issue.message;
  if (issue.code === 'invalid_value') return `wants ${issue.values.map(String).join(', ')}`;
  if (issue.code === 'too_small' && issue.origin === 'string') return 'must not be empty';
  return description ? `wants ${lowerFirst(description)}` : `does not fit: ${issue.message}`;
}

function isVouched(issue: z.core.$ZodIssue): boolean {
  return issue.code === 'custom' && issue.params?.['repeatsNothing'] === true;
}

function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? typeof value);
  if (text.includes('PRIVATE KEY')) return 'a private key, which is not shown here';
  return `"${text.length > 200 ? `${text.slice(0, 200)}…` : text}"`;
}

/** Does a message repeat a piece of the secret? Schema messages may quote their input, a JSON parser's do. */
function leaks(message: string, secret: unknown): boolean {
  const text = typeof secret === 'string' ? secret : (JSON.stringify(secret) ?? '');
  if (text.length > 3 && message.includes(text)) return true;
  return text.split(/[\s,"'{}[\]:@/]+/).some((piece) => piece.length > 8 && message.includes(piece));
}

function lowerFirst(text: string): string {
  // A full stop inside an address ends nothing.
  const sentence = text.replace(/[.;](\s.*)?$/s, '');
  return /^[A-Z][a-z]/.test(sentence) ? sentence[0]?.toLowerCase() + sentence.slice(1) : sentence;
}
