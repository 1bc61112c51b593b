import ipaddr from 'ipaddr.js';

/** Is this an address, or a range of them (CIDR)? */
export function isRange(text: string): boolean {
  return text.includes('/') ? ipaddr.isValidCIDR(text) : ipaddr.isValid(text);
}

/**
 * Do these ranges together hold every address of IPv4 or of IPv6? However they are cut: `0.0.0.0/1,128.0.0.0/1` is everybody too,
 * and a range of IPv6 holds the IPv4 addresses that are mapped into it (RFC 4291 §2.5.5.2), as Node's block lists have it.
 */
export function trustsEverybody(ranges: readonly string[]): boolean {
  const blocks = ranges.map(blockOf);
  const six = blocks.filter(({ bits }) => bits === 128);
  const four = [...blocks.filter(({ bits }) => bits === 32), ...six.flatMap(mapped)];
  return coversAll(four, 1n << 32n) || coversAll(six, 1n << 128n);
}

/** Where IPv4 lies in IPv6: `::ffff:0:0/96`. */
const MAPPED = 0xffffn << 32n;

interface Block {
  readonly bits: 32 | 128;
  readonly first: bigint;
  /** Exclusive. */
  readonly end: bigint;
}

function blockOf(range: string): Block {
  const [address, prefix] = range.includes('/') ? ipaddr.parseCIDR(range) : [ipaddr.parse(range), null];
  const bytes = address.toByteArray();
  const bits = bytes.length === 4 ? 32 : 128;
  const size = 1n << BigInt(bits - (prefix ?? bits));
  const value = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const first = value - (value % size);
  return { bits, first, end: first + size };
}

function mapped({ first, end }: Block): Block[] {
  const last = MAPPED + (1n << 32n);
  if (end <= MAPPED || first >= last) return [];
  return [{ bits: 32, first: first > MAPPED ? first - MAPPED : 0n, end: (end < last ? end : last) - MAPPED }];
}

function coversAll(blocks: readonly Block[], size: bigint): boolean {
  let reached = 0n;
  for (const { first, end } of blocks.toSorted((a, b) => (a.first < b.first ? -1 : 1))) {
    if (first > reached) return false;
    if (end > reached) reached = end;
  }
  return reached === size;
}
