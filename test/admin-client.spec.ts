import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { writeAdminClient } from '../scripts/admin-client.mjs';

function filesOf(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map(({ parentPath, name }) => join(parentPath, name)).toSorted((a, b) => (a < b ? -1 : 1));
  return Object.fromEntries(paths.map((path) => [path.slice(folder.length), readFileSync(path, 'utf8')]));
}

it('test/admin-api is the client that the generator makes of docs/openapi.json', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-admin-api-'));
  try {
    await writeAdminClient(folder);
    const committed = filesOf(fileURLToPath(new URL('admin-api', import.meta.url)));
    expect(filesOf(folder), 'stale: run `npm run docs`').toEqual(committed);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
