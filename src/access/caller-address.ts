import type { IncomingMessage } from 'node:http';
import { BlockList, isIP, isIPv4, SocketAddress } from 'node:net';
import { Inject, Injectable } from '@nestjs/common';
import { Settings } from '../config/settings.js';

/** Where a request comes from, for limits and Events only: no URL is ever made from it (security.md 45). */
@Injectable()
export class CallerAddresses {
  readonly #proxies: BlockList;

  constructor(@Inject(Settings) settings: Settings) {
    this.#proxies = blockList(settings.values.trustedProxies);
  }

  /** Address of the caller: the socket's, or what our own proxies (`GATEHOUSE_TRUSTED_PROXIES`) forwarded. */
  of(request: Pick<IncomingMessage, 'headers' | 'socket'>): string {
    const forwarded = request.headers['x-forwarded-for'];
    return callerAddress(
      request.socket.remoteAddress ?? 'unknown',
      Array.isArray(forwarded) ? forwarded.join(',') : forwarded,
      this.#proxies,
    );
  }
}

/** The rightmost address that is no proxy of ours: what stands left of it, anybody could have written. */
export function callerAddress(peer: string, forwardedFor: string | undefined, proxies: BlockList): string {
  let caller = plain(peer);
  const hops = (forwardedFor ?? '').split(',').map((hop) => hop.trim());
  while (isTrusted(proxies, caller)) {
    const hop = withoutPort(hops.pop() ?? '');
    if (isIP(hop) === 0) return caller;
    caller = plain(hop);
  }
  return caller;
}

/** What a limit counts by: an IPv4 address, or the /64 of an IPv6 address, since one caller owns all of it. */
export function limitKey(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = '', tail = ''] = address.split('%')[0]!.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === '' ? [] : tail.split(':');
  const groups = address.includes('::')
    ? [...left, ...Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0'), ...right]
    : left;
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}

function blockList(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = '', bits] = range.split('/');
    const family = isIPv4(address) ? 'ipv4' : 'ipv6';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list;
}

function isTrusted(proxies: BlockList, address: string): boolean {
  const version = isIP(address);
  return version !== 0 && proxies.check(new SocketAddress({ address, family: version === 4 ? 'ipv4' : 'ipv6' }));
}

/** IPv4 addresses that reached an IPv6 socket are written as IPv4. */
function plain(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  return mapped?.[1] ?? address.split('%')[0]!;
}

function withoutPort(hop: string): string {
  return /^\[(.+)\](?::\d+)?$/.exec(hop)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(hop)?.[1] ?? hop;
}
