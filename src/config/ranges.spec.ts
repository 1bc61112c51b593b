import { expect, it } from 'vitest';
import { isRange, trustsEverybody } from './ranges.js';

it.each<[string, boolean]>([
  ['0.0.0.0/0', true],
  ['::/0', true],
  ['0.0.0.0/1,128.0.0.0/1', true],
  ['128.0.0.0/1,0.0.0.0/2,64.0.0.0/2,10.0.0.0/8', true],
  ['8000::/1,::/1', true],
  ['::/1', true],
  ['::ffff:0:0/96', true],
  ['::ffff:0:0/97,128.0.0.0/1', true],
  ['0.0.0.0/1', false],
  ['0.0.0.0/1,128.0.0.0/2,193.0.0.0/8', false],
  ['10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,::1,fd00::/8', false],
  ['8000::/1', false],
  ['', false],
])('%s trusts everybody: %s', (list, all) => {
  expect(trustsEverybody(list.split(',').filter(Boolean))).toBe(all);
});

it.each([
  ['10.0.0.0/8', true],
  ['::1', true],
  ['10.0.0.0/33', false],
  ['abc', false],
  ['proxy.example', false],
])('%s is a range: %s', (text, range) => {
  expect(isRange(text)).toBe(range);
});
