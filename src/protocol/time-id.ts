import { randomUUID } from 'node:crypto';

let lastAt = 0;
let counter = 0;

/** A UUIDv7 (RFC 9562 §5.7) whose `rand_a` counts within a millisecond: ids of one process sort in the order they were made. */
export function timeId(at: number): string {
  if (at > lastAt) {
    lastAt = at;
    counter = 0;
  } else {
    counter++;
    if (counter > 0xfff) {
      lastAt++;
      counter = 0;
    }
  }
  const time = lastAt.toString(16).padStart(12, '0');
  // A random UUID ends as this one does: variant and 62 random bits, which Node draws for many at once.
  return `${time.slice(0, 8)}-${time.slice(8)}-7${counter.toString(16).padStart(3, '0')}${randomUUID().slice(18)}`;
}

/** The least id of that millisecond and everything after it: ids made earlier sort before it. */
export function timeIdFloor(at: number): string {
  const hex = Math.max(0, Math.min(Math.ceil(at), 2 ** 48 - 1))
    .toString(16)
    .padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}
