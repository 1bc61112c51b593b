/** One write of a commit. `expect`: how many rows it must touch (for a SELECT: return); any other number rolls the whole commit back. */
export interface Statement {
  readonly text: readonly string[];
  readonly values: readonly unknown[];
  readonly expect?: number | undefined;
}

/** The two databases Gatehouse runs on. */
export type Dialect = 'sqlite' | 'postgres';

/** SQL with values as parameters, never as text: sql`UPDATE oauth_token SET consumed_at = ${now} WHERE id_hash = ${hash}`. */
export function sql(text: TemplateStringsArray, ...values: readonly unknown[]): Statement {
  return { text, values };
}

/** The same statement, rolled back unless it touches exactly `rows` rows. */
export function expecting(rows: number, statement: Statement): Statement {
  return { ...statement, expect: rows };
}

/** By dialect: a template's text array is one object for the whole process, whichever databases it opens. */
const rendered = {
  sqlite: new WeakMap<readonly string[], string>(),
  postgres: new WeakMap<readonly string[], string>(),
};

/** The text with the dialect's parameter marks. */
export function render({ text }: Statement, dialect: Dialect): string {
  const known = rendered[dialect].get(text);
  if (known !== undefined) return known;
  const made = text.reduce((all, part, i) => `${all}${dialect === 'sqlite' ? '?' : `$${i}`}${part}`);
  rendered[dialect].set(text, made);
  return made;
}
