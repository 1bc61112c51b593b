/** Random choices that a seed repeats: a failing property names its seed, and is run again with it. */
export interface Random {
  /** From 0 to below `limit`. */
  below(limit: number): number;
  of<T>(choices: readonly T[]): T;
  /** true once in `times`. */
  once(times: number): boolean;
  /** Of the given characters, up to `length` of them. */
  text(characters: string, length: number): string;
}

/** Marsaglia's xorshift32. */
export function seeded(seed: number): Random {
  let state = seed | 0 || 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  const below = (limit: number): number => next() % limit;
  return {
    below,
    of: (choices) => choices[below(choices.length)]!,
    once: (times) => below(times) === 0,
    text: (characters, length) => {
      const whole = Array.from(characters);
      return Array.from({ length: below(length + 1) }, () => whole[below(whole.length)]).join('');
    },
  };
}
