import { type Hole, html, type Html } from '../oauth/pages/html.js';
import { type Page, page } from '../oauth/pages/layout.js';
import { openApiDocument } from './openapi.js';
import type { Operation } from './operation.js';
import { operations } from './operations.js';
import { schemaWords } from './schema-words.js';

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required: boolean;
  readonly description?: string;
  readonly schema: Record<string, unknown>;
}

interface Described {
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: { readonly 'application/json': { readonly schema: unknown } } };
  readonly responses: Readonly<
    Record<
      string,
      { readonly description: string; readonly content?: Readonly<Record<string, { readonly schema: unknown }>> }
    >
  >;
}

/** The reference of the admin API, for people: written here, nothing is loaded from elsewhere. */
export function referencePage(server: string): Page {
  const document = openApiDocument(server) as {
    paths: Record<string, Record<string, Described>>;
    components: { schemas: Record<string, unknown> };
  };
  const tags = [...new Set(operations.map(({ tag }) => tag))];
  return page({
    title: 'Admin API',
    wide: true,
    body: html`<p>
        Base address <code>${server}/admin/v1</code>. Send <code>Authorization: Bearer &lt;token&gt;</code> with
        <code>GATEHOUSE_ADMIN_TOKEN</code>, or an access token made for this address with the scope <code>admin</code>,
        of a person with the role <code>admin</code>.
      </p>
      <p>
        Lists answer <code>{ items, next_cursor }</code>, newest first. Updates want <code>If-Match</code> with the
        <code>ETag</code> that reading gave. Failures are problem details (RFC 9457). The same as a document for
        programs: <a href="/admin/openapi.json">openapi.json</a>.
      </p>
      ${tags.map(
        (tag) =>
          html`<h2>${tag}</h2>
            ${operations
              .filter((one) => one.tag === tag)
              .map((one) =>
                section(one, document.paths[`/admin/v1${one.path.replace(/:(\w+)/g, '{$1}')}`]![one.method]!),
              )}`,
      )}
      <h2>Schemas</h2>
      ${Object.entries(document.components.schemas).map(
        ([name, schema]) =>
          html`<details>
            <summary>${name}</summary>
            ${lines(schema)}
          </details>`,
      )}`,
  });
}

function section(one: Operation, described: Described): Html {
  const answer = described.responses[one.status]?.content?.['application/json']?.schema;
  return html`<details>
    <summary>${one.method.toUpperCase()} ${one.path} <span class="soft">${one.summary}</span></summary>
    ${one.description ? html`<p>${prose(one.description)}</p>` : null}
    ${
      described.parameters
        ? html`<table>
            <thead>
              <tr>
                <th>Parameter</th>
                <th>Where</th>
                <th>What</th>
              </tr>
            </thead>
            <tbody>
              ${described.parameters.map(
                (parameter) =>
                  html`<tr>
                    <td><code>${parameter.name}</code>${parameter.required ? ' (required)' : ''}</td>
                    <td>${parameter.in}</td>
                    <td>${prose(parameter.description ?? '')} <code>${schemaWords(parameter.schema)}</code></td>
                  </tr>`,
              )}
            </tbody>
          </table>`
        : null
    }
    ${
      described.requestBody
        ? html`<p>Body: <code>${schemaWords(described.requestBody.content['application/json'].schema)}</code></p>`
        : null
    }
    ${answer === undefined ? null : html`<p>Answer: <code>${schemaWords(answer)}</code></p>`}
    <p class="small soft">
      ${prose(
        Object.entries(described.responses)
          .map(([status, { description }]) => `${status} ${description}`)
          .join(' · '),
      )}
    </p>
  </details>`;
}

/** Member by member. */
function lines(schema: unknown): Html {
  const { properties = {}, required = [] } = schema as {
    properties?: Record<string, { description?: string }>;
    required?: readonly string[];
  };
  return html`<ul class="plain">
    ${Object.entries(properties).map(
      ([name, property]) =>
        html`<li>
          <strong>${name}</strong>${required.includes(name) ? '' : ' (optional)'} <code>${schemaWords(property)}</code>
          ${prose(property.description ?? '')}
        </li>`,
    )}
  </ul>`;
}

/** Text whose backticks mark code. */
function prose(text: string): readonly Hole[] {
  return text.split('`').map((part, i) => (i % 2 === 1 ? html`<code>${part}</code>` : part));
}
