import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { providerKinds } from '../providers/providers.js';
import { configurationDocument } from './document.js';
import { fieldsOf } from './fields.js';
import { settingsSchema } from './settings.js';

it('docs/configuration.md is what `npm run docs` writes', () => {
  const written = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
  expect(written).toBe(configurationDocument(providerKinds));
});

it('every setting says what it means', () => {
  const all = [settingsSchema, ...providerKinds.map(({ settings }) => settings)].flatMap((schema) => fieldsOf(schema));
  expect(all.length).toBeGreaterThan(50);
  expect(all.filter(({ description }) => !description).map(({ key }) => key)).toEqual([]);
});
