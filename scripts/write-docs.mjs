// Writes the documents that are generated: docs/configuration.md from the schemas, docs/spec.md from the titles of the tests,
// docs/openapi.json from the operations of the admin API, and test/admin-api, the client that the tests use, from docs/openapi.json.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openApiDocument } from '../dist/src/admin/openapi.js';
import { configurationDocument } from '../dist/src/config/document.js';
import { providerKinds } from '../dist/src/providers/providers.js';
import { writeAdminClient } from './admin-client.mjs';
import { specTable } from './spec-table.mjs';

const docs = (name) => new URL(`../docs/${name}`, import.meta.url);

writeFileSync(docs('configuration.md'), configurationDocument(providerKinds));
writeFileSync(docs('spec.md'), specTable());
writeFileSync(docs('openapi.json'), `${JSON.stringify(openApiDocument('http://localhost:8000'), null, 2)}\n`);
await writeAdminClient(fileURLToPath(new URL('../test/admin-api', import.meta.url)));
