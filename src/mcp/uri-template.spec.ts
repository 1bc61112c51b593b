import { describe, expect, it } from 'vitest';
import { UriTemplate } from './uri-template.js';

describe('URI templates', () => {
  it.each([
    ['notes://{id}', 'notes://7', { id: '7' }],
    ['notes://{id}', 'notes://', null],
    ['notes://{id}', 'notes://7/8', null],
    ['notes://{id}/data', 'notes://7/data', { id: '7' }],
    ['notes://{id}/data', 'notes://7/date', null],
    ['notes://{id}', 'other://7', null],
    ['file:///{+path}', 'file:///a/b.txt', { path: 'a/b.txt' }],
    ['file:///{+path}.{kind}', 'file:///a.b/c.txt', { path: 'a.b/c', kind: 'txt' }],
    ['x://{a}.{b}', 'x://1.2.3', { a: '1.2', b: '3' }],
    ['x://{a}{b}', 'x://123', { a: '12', b: '3' }],
    ['x://{a,b}', 'x://1,2', { a: '1', b: '2' }],
    ['x://h{/a,b}', 'x://h/1/2', { a: '1', b: '2' }],
    ['x://h{/list*}', 'x://h/1,2,3', { list: ['1', '2', '3'] }],
    ['x://h{/list*}', 'x://h/1', { list: '1' }],
    ['x://h{/list*}', 'x://h/1,', null],
    ['x://h{/list*}', 'x://h/1,,2', null],
    ['x://{list*}.end', 'x://1,2.end', { list: ['1', '2'] }],
    ['x://h{.kind}', 'x://h.json', { kind: 'json' }],
    ['x://h{#part}', 'x://h#a/b', { part: 'a/b' }],
    ['x://h{?a,b}', 'x://h?a=1&b=2', { a: '1', b: '2' }],
    ['x://h{?a}{&b}', 'x://h?a=1&b=2', { a: '1', b: '2' }],
    ['x://h{?a}', 'x://h?b=1', null],
    ['x://(h)+', 'x://(h)+', {}],
    ['x://(h)+', 'x://hh', null],
  ])('%s describes %s: %j', (template, uri, variables) => {
    expect(new UriTemplate(template).match(uri)).toEqual(variables);
  });

  it('names its variables in order', () => {
    expect(new UriTemplate('x://{a}/{b,c}{?d*}').variableNames).toEqual(['a', 'b', 'c', 'd']);
  });

  it.each(['x://{a', 'x://{}', 'x://{?}', 'x://{a,}'])('%s is no template', (template) => {
    expect(() => new UriTemplate(template)).toThrow(template);
  });

  it('sec-42: no place of a URI is looked at more often for a longer URI', () => {
    for (const template of ['x://{a}.{b}', 'x://{+a}/b/{+b}/end', 'x://{a}{b}{c}{d}{e}{f}', 'x://{a*}{b*}{c*}.end']) {
      const looked = (length: number): number => {
        let count = 0;
        const uri = `x://${'a.a,b/b/'.repeat(length / 8)}é`;
        const counted = new Proxy(Object(uri) as object, {
          get(target, name) {
            if (typeof name === 'string' && /^\d+$/.test(name)) count++;
            const value: unknown = Reflect.get(target, name);
            if (name !== 'startsWith') return typeof value === 'function' ? (value.bind(target) as unknown) : value;
            return (text: string, at: number) => (count++, uri.startsWith(text, at));
          },
        }) as unknown as string;
        expect(new UriTemplate(template).match(counted)).toBeNull();
        return count / length;
      };
      expect(looked(8000)).toBeLessThan(looked(800) * 1.1);
    }
  });

  it('a URI of more than 8192 characters names nothing', () => {
    const template = new UriTemplate('x://{a}');
    expect(template.match(`x://${'a'.repeat(8188)}`)).not.toBeNull();
    expect(template.match(`x://${'a'.repeat(8189)}`)).toBeNull();
  });
});
