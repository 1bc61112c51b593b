import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openApiDocument } from './openapi.js';
import { operations } from './operations.js';
import { referencePage } from './reference.page.js';

const SERVER = 'http://localhost:8000';

describe('the OpenAPI document', () => {
  it('docs/openapi.json is what `npm run docs` writes', () => {
    const written = JSON.parse(readFileSync(new URL('../../docs/openapi.json', import.meta.url), 'utf8')) as unknown;
    expect(openApiDocument(SERVER)).toEqual(written);
  });

  it('names every operation once, and every reference leads to a schema', () => {
    const document = openApiDocument(SERVER) as {
      paths: Record<string, Record<string, { operationId: string }>>;
      components: { schemas: Record<string, unknown> };
    };
    const ids = Object.values(document.paths).flatMap((methods) =>
      Object.values(methods).map(({ operationId }) => operationId),
    );
    expect(new Set(ids).size).toBe(operations.length);
    expect(ids.length).toBe(operations.length);
    const text = JSON.stringify(document);
    const references = [...text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name!);
    expect(new Set(references)).toEqual(new Set(Object.keys(document.components.schemas)));
    expect(text).not.toContain('#/$defs/');
  });

  it('wants If-Match exactly for updates, and a body only where one is read', () => {
    for (const one of operations) {
      expect(one.ifMatch === 'required', one.id).toBe(one.method === 'patch');
      expect(one.body !== undefined, one.id).toBe(
        one.method === 'patch' || (one.method === 'post' && one.id !== 'rotateKeys'),
      );
    }
  });
});

describe('the reference page', () => {
  it('shows every operation and schema, and loads nothing from anywhere', () => {
    const { markup } = referencePage(SERVER);
    for (const { method, path } of operations) expect(markup).toContain(`${method.toUpperCase()} ${path}`);
    expect(markup).toContain('PersonalTokenWish');
    expect(markup).not.toMatch(/<script|<link|<img|@import|url\(|style="/i);
  });
});
