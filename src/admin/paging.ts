import { z } from 'zod';

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

/** A page of a list. */
export function pageOf<Schema extends z.ZodType>(item: Schema) {
  return z.object({
    items: z.array(item),
    next_cursor: z.string().nullable().describe('For the next page; null: this is the last'),
  });
}
