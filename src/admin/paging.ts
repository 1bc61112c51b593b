import { z } from 'zod';
import { component, components } from './components.js';

/** What every list takes. */
export const listQuery = z.strictObject({
  limit: z
    .preprocess(
      (value) => (typeof value === 'string' && /^\d{1,6}$/.test(value) ? Number(value) : value),
      z.number({ error: 'wants a number' }).int().min(1).max(200),
    )
    .default(50)
    .describe('Items of a page, at most 200'),
  cursor: z.string().max(4096).optional().describe('`next_cursor` of the page before'),
});

const pages = new WeakMap<z.ZodType, z.ZodType>();

/** A page of a list, named after its items in the document. */
export function pageOf<Schema extends z.ZodType>(item: Schema) {
  const made = z.object({
    items: z.array(item),
    next_cursor: z.string().nullable().describe('For the next page; null: this is the last'),
  });
  const known = pages.get(item) as typeof made | undefined;
  if (known) return known;
  pages.set(item, made);
  return component(`${components.get(item)?.id ?? ''}Page`, made);
}
