/** Longer URIs name nothing here; so much is compared in a moment. */
const MAX_URI = 8192;

/** May a variable hold this character? */
type Takes = (character: string) => boolean;

interface Variable {
  readonly name: string;
  readonly takes: Takes;
  /** Its value may be a list, separated by commas. */
  readonly list: boolean;
}

/** Text that must stand there, or a variable of one character or more. */
type Part = string | Variable;

/** How an expression is written out (RFC 6570 §3.2): before it, between its variables, what they hold, and whether their names stand there too. */
interface Operator {
  readonly first: string;
  readonly between: string;
  readonly takes: Takes;
  readonly named: boolean;
}

const ofSegment: Takes = (character) => character !== '/' && character !== ',';
const ofQuery: Takes = (character) => character !== '&';
const anything: Takes = () => true;

const OPERATORS: Readonly<Record<string, Operator>> = {
  '': { first: '', between: ',', takes: ofSegment, named: false },
  '+': { first: '', between: ',', takes: anything, named: false },
  '#': { first: '#', between: ',', takes: anything, named: false },
  '.': { first: '.', between: '.', takes: ofSegment, named: false },
  '/': { first: '/', between: '/', takes: ofSegment, named: false },
  '?': { first: '?', between: '&', takes: ofQuery, named: true },
  '&': { first: '&', between: '&', takes: ofQuery, named: true },
};

/** What is possible at a place of the URI: the part begins here, or a variable that has begun goes on or ends here. */
const BEGINS = 1;
const INSIDE = 2;

/**
 * A URI template (RFC 6570) read backwards: does it describe a URI, and with which variables? In time that grows only with the lengths of both: as a
 * regular expression, two variables without a slash between them let one long URI hold the process for minutes (security.md 42, CVE-2026-0621).
 */
export class UriTemplate {
  readonly #parts: readonly Part[];

  /** @throws Error for an expression that is not closed or names no variable */
  constructor(template: string) {
    this.#parts = partsOf(template);
  }

  /** In the order in which they stand. */
  get variableNames(): string[] {
    return this.#parts.flatMap((part) => (typeof part === 'string' ? [] : [part.name]));
  }

  /** The variables as the URI writes them, the earlier ones as long as possible; null: the template does not describe it. */
  match(uri: string): Record<string, string | string[]> | null {
    if (uri.length > MAX_URI) return null;
    const possible = this.#possible(uri);
    if (!(possible[0]![0]! & BEGINS)) return null;
    const variables: Record<string, string | string[]> = {};
    let at = 0;
    for (const [index, part] of this.#parts.entries()) {
      const start = at;
      if (typeof part === 'string') {
        at += part.length;
        continue;
      }
      at = endOf(part, possible[index]!, { uri, start });
      const value = uri.slice(start, at);
      variables[part.name] = part.list && value.includes(',') ? value.split(',') : value;
    }
    return variables;
  }

  /** For each part, and behind the last one, what is possible at each place; filled in from the end, so that no place is looked at twice. */
  #possible(uri: string): Uint8Array[] {
    let next = new Uint8Array(uri.length + 1);
    next[uri.length] = BEGINS;
    const all = [next];
    for (const part of this.#parts.toReversed()) {
      next = typeof part === 'string' ? placesOfText(part, uri, next) : placesOfVariable(part, uri, next);
      all.unshift(next);
    }
    return all;
  }
}

function placesOfText(text: string, uri: string, next: Uint8Array): Uint8Array<ArrayBuffer> {
  const here = new Uint8Array(uri.length + 1);
  for (let at = uri.length - text.length; at >= 0; at--)
    if (next[at + text.length]! & BEGINS && uri.startsWith(text, at)) here[at] = BEGINS;
  return here;
}

function placesOfVariable({ takes, list }: Variable, uri: string, next: Uint8Array): Uint8Array<ArrayBuffer> {
  const here = new Uint8Array(uri.length + 1);
  for (let at = uri.length; at >= 0; at--) {
    const taken = at < uri.length && takes(uri[at]!) && (here[at + 1]! & INSIDE) !== 0;
    const divided = list && uri[at] === ',' && (here[at + 1]! & BEGINS) !== 0;
    here[at] = (taken ? BEGINS : 0) | (taken || divided || next[at]! & BEGINS ? INSIDE : 0);
  }
  return here;
}

/** Where the longest value of a variable ends that leaves the rest of the template its place. */
function endOf({ takes, list }: Variable, here: Uint8Array, { uri, start }: { uri: string; start: number }): number {
  let at = start + 1;
  for (;;) {
    if (at < uri.length && takes(uri[at]!) && here[at + 1]! & INSIDE) at++;
    else if (list && uri[at] === ',' && here[at + 1]! & BEGINS) at += 2;
    else return at;
  }
}

function partsOf(template: string): Part[] {
  return template.split(/(\{[^}]*\}?)/).flatMap((piece) => {
    if (piece === '') return [];
    if (!piece.startsWith('{')) return [piece];
    if (!piece.endsWith('}')) throw new Error(`"${template}" holds an expression that is not closed`);
    return partsOfExpression(piece.slice(1, -1), template);
  });
}

function partsOfExpression(expression: string, template: string): Part[] {
  const sign = /^[+#./?&]/.exec(expression)?.[0] ?? '';
  const { first, between, takes, named } = OPERATORS[sign]!;
  return expression
    .slice(sign.length)
    .split(',')
    .flatMap((written, index) => {
      const name = written.replace('*', '').trim();
      if (name === '') throw new Error(`"${template}" holds an expression that names no variable`);
      const before = (index === 0 ? first : between) + (named ? `${name}=` : '');
      const variable = { name, takes, list: written.includes('*') && !named };
      return before === '' ? [variable] : [before, variable];
    });
}
