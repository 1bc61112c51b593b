import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const root = new URL('..', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');

describe('docs/spec.md', () => {
  it('is what `npm run docs` writes', () => {
    const script = `process.stdout.write((await import(${JSON.stringify(new URL('scripts/spec-table.mjs', root).href)})).specTable())`;
    const made = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    expect(read('docs/spec.md') === made, 'docs/spec.md is stale: run `npm run docs`').toBe(true);
  });

  it('names files that exist, and each requirement once', () => {
    const requirements = JSON.parse(read('docs/requirements.json')) as { id: string; code: string }[];
    expect(requirements.map(({ code }) => code).filter((code) => !existsSync(new URL(code, root)))).toEqual([]);
    expect(new Set(requirements.map(({ id }) => id)).size).toBe(requirements.length);
  });
});

describe('links between documents', () => {
  const documents = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'docs/architecture.md', 'docs/operations.md'];
  it.each([...documents, 'docs/deployment.md'])('%s points at files that exist', (document) => {
    const targets = [...read(document).matchAll(/\]\((?!https?:|#|mailto:)([^)#]+)(?:#[^)]*)?\)/g)].map(
      (match) => match[1] ?? '',
    );
    const folder = new URL(document, root);
    expect(targets.filter((target) => !existsSync(new URL(target, folder)))).toEqual([]);
  });
});
