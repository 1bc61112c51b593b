import { BlockList } from 'node:net';
import { describe, expect, it } from 'vitest';
import { callerAddress, limitKey } from './caller-address.js';

const none = new BlockList();
const proxies = new BlockList();
proxies.addSubnet('10.0.0.0', 8, 'ipv4');
proxies.addSubnet('fd00::', 8, 'ipv6');

describe('the address of a caller', () => {
  it('is the socket’s when no proxy is trusted, whatever a header says', () => {
    expect(callerAddress('203.0.113.9', '198.51.100.1', none)).toBe('203.0.113.9');
    expect(callerAddress('10.0.0.1', '198.51.100.1', none)).toBe('10.0.0.1');
  });

  it('is the last forwarded address that is no proxy of ours', () => {
    expect(callerAddress('10.0.0.1', '198.51.100.1', proxies)).toBe('198.51.100.1');
    expect(callerAddress('10.0.0.1', '1.2.3.4, 198.51.100.1, 10.9.9.9', proxies)).toBe('198.51.100.1');
    expect(callerAddress('fd00::1', '2001:db8::7', proxies)).toBe('2001:db8::7');
    expect(callerAddress('203.0.113.9', '1.2.3.4', proxies)).toBe('203.0.113.9');
  });

  it('stays at the proxy when the header is missing or rubbish', () => {
    expect(callerAddress('10.0.0.1', undefined, proxies)).toBe('10.0.0.1');
    expect(callerAddress('10.0.0.1', 'unknown', proxies)).toBe('10.0.0.1');
    expect(callerAddress('10.0.0.1', '<script>, 10.0.0.2', proxies)).toBe('10.0.0.2');
  });

  it('is written without port, zone and IPv4 mapping', () => {
    expect(callerAddress('::ffff:203.0.113.9', undefined, none)).toBe('203.0.113.9');
    expect(callerAddress('::ffff:10.0.0.1', '198.51.100.1:4711', proxies)).toBe('198.51.100.1');
    expect(callerAddress('10.0.0.1', '[2001:db8::7]:443', proxies)).toBe('2001:db8::7');
    expect(callerAddress('fe80::1%eth0', undefined, none)).toBe('fe80::1');
  });
});

describe('what a limit counts by', () => {
  it('sec-45: is an IPv4 address, or the /64 of an IPv6 address', () => {
    expect(limitKey('203.0.113.9')).toBe('203.0.113.9');
    expect(limitKey('2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1:2::/64');
    expect(limitKey('2001:0db8:1:2::1')).toBe('2001:db8:1:2::/64');
    expect(limitKey('2001:db8::1')).toBe('2001:db8:0:0::/64');
    expect(limitKey('::1')).toBe('0:0:0:0::/64');
    expect(limitKey('unknown')).toBe('unknown');
  });
});
