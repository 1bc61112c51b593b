import { expect, it } from 'vitest';
import { timeId } from './time-id.js';

it('ids sort in the order they were made, also within one millisecond and when the clock goes back', () => {
  const at = Date.now() + 1_000_000;
  const ids = Array.from({ length: 5000 }, (_, i) => timeId(i === 2500 ? at - 5000 : at));
  expect([...ids].sort()).toEqual(ids);
  expect(new Set(ids).size).toBe(5000);
  expect(ids[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});
