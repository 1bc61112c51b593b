/** Markup that is already safe: made by `html` only. */
export class Html {
  /** @param text markup; never text from outside */
  constructor(readonly text: string) {}

  toString(): string {
    return this.text;
  }
}

/** What may stand in a hole of `html`: text is escaped, markup is kept, lists are joined, `null`, `undefined` and `false` vanish. */
export type Hole = string | number | Html | readonly Hole[] | null | undefined | false;

/** Markup with every text value escaped for element content and quoted attributes alike. */
export function html(parts: TemplateStringsArray, ...holes: readonly Hole[]): Html {
  return new Html(parts.reduce((all, part, i) => `${all}${fill(holes[i - 1])}${part}`));
}

function fill(hole: Hole): string {
  if (hole === null || hole === undefined || hole === false) return '';
  if (hole instanceof Html) return hole.text;
  if (Array.isArray(hole)) return (hole as readonly Hole[]).map(fill).join('');
  return escapeHtml(typeof hole === 'number' ? String(hole) : (hole as string));
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text made harmless in element content and in quoted attributes; control and bidirectional characters, which could disguise a name, are dropped. */
export function escapeHtml(text: string): string {
  return text.replace(DISGUISES, '').replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

// C0, C1 and bidirectional controls, and the byte order mark.
const DISGUISES = /[\p{Cc}\p{Bidi_Control}\uFEFF]/gu;
