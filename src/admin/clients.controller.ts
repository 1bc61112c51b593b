import { Inject } from '@nestjs/common';
import { ClientList } from '../oauth/client-list.js';
import { ClientRemoval } from '../oauth/client-removal.js';
import type { ClientRow } from '../oauth/client.entity.js';
import { Clients } from '../oauth/clients.js';
import { DocumentAdmission } from '../oauth/document-admission.js';
import { CommitConflict } from '../persistence/faults.js';
import { type ClientMetadata, isFault, readClientMetadata } from '../protocol/client-metadata.js';
import { changeClient, createClient, getClient, listClients, removeClient } from './client-operations.js';
import { readCursor, writeCursor } from './cursor.js';
import { allowMatch, changedMeanwhile, etagOf, requireMatch } from './etag.js';
import { clientFacts } from './facts.js';
import { AdminApi, type Answer, type Ask, Serves } from './operation.js';
import { notFound, Problem } from './problem.js';

/** `/admin/v1/clients`. */
@AdminApi()
export class ClientsController {
  constructor(
    @Inject(Clients) private readonly clients: Clients,
    @Inject(ClientList) private readonly list: ClientList,
    @Inject(ClientRemoval) private readonly removal: ClientRemoval,
    @Inject(DocumentAdmission) private readonly admission: DocumentAdmission,
  ) {}

  @Serves(listClients)
  async page({ query: { limit, cursor, ...filter } }: Ask<typeof listClients>): Promise<Answer<typeof listClients>> {
    const { items, next } = await this.list.page(filter, { after: readCursor('clients', cursor), limit });
    return { items: items.map(clientFacts), next_cursor: next && writeCursor('clients', next) };
  }

  @Serves(createClient)
  async create({ body, by, reply }: Ask<typeof createClient>): Promise<Answer<typeof createClient>> {
    const { client_id: address, name, scopes, note, ...metadata } = body;
    if (address !== undefined) return this.#admit(address, { ...by, note, allowedScopes: scopes }, reply);
    const { row, secret } = await this.clients.create(metadataOf({ ...metadata, client_name: name }), {
      ...by,
      note,
      allowedScopes: scopes,
    });
    reply.headers({ etag: etagOfClient(row), location: `/admin/v1/clients/${encodeURIComponent(row.id)}` });
    return { ...clientFacts(row), client_secret: secret ?? null };
  }

  @Serves(getClient)
  async one({ params, reply }: Ask<typeof getClient>): Promise<Answer<typeof getClient>> {
    const row = await this.#find(params.id);
    reply.header('etag', etagOfClient(row));
    return clientFacts(row);
  }

  @Serves(changeClient)
  async change({ params, body, ifMatch, by, reply }: Ask<typeof changeClient>): Promise<Answer<typeof changeClient>> {
    const row = await this.#find(params.id);
    requireMatch(ifMatch, etagOfClient(row));
    const { status, note, scopes } = body;
    const changed = await this.#change(
      row,
      {
        ...(status === undefined ? {} : { status }),
        ...(note === undefined ? {} : { note }),
        ...(scopes === undefined ? {} : { allowedScopes: scopes }),
        ...editedMetadata(row, body),
      },
      by,
    );
    reply.header('etag', etagOfClient(changed));
    return clientFacts(changed);
  }

  @Serves(removeClient)
  async remove({ params, ifMatch, by }: Ask<typeof removeClient>): Promise<undefined> {
    allowMatch(ifMatch, etagOfClient(await this.#find(params.id)));
    if (!(await this.removal.remove(params.id, by))) throw notFound('client');
  }

  async #admit(
    address: string,
    by: Parameters<DocumentAdmission['admit']>[1],
    reply: Ask<typeof createClient>['reply'],
  ): Promise<Answer<typeof createClient>> {
    const admitted = await this.admission.admit(address, by);
    if ('kind' in admitted) {
      const { kind, why } = admitted;
      if (kind !== 'unusable') throw new Problem(409, `The client was not admitted: ${why}.`);
      throw new Problem(400, 'The client was not admitted.', { faults: [{ at: 'body.client_id', message: why }] });
    }
    reply.headers({ etag: etagOfClient(admitted), location: `/admin/v1/clients/${encodeURIComponent(admitted.id)}` });
    return { ...clientFacts(admitted), client_secret: null };
  }

  async #find(id: string): Promise<ClientRow> {
    const row = await this.clients.find(id);
    if (!row) throw notFound('client');
    return row;
  }

  async #change(
    row: ClientRow,
    wanted: Parameters<Clients['change']>[1],
    by: Ask<typeof changeClient>['by'],
  ): Promise<ClientRow> {
    try {
      const changed = await this.clients.change(row.id, wanted, { ...by, version: row.version });
      if (changed) return changed;
    } catch (error) {
      if (!(error instanceof CommitConflict)) throw error;
    }
    throw changedMeanwhile();
  }
}

function etagOfClient({ id, version }: ClientRow): string {
  return etagOf([id, version]);
}

function editedMetadata(
  row: ClientRow,
  { name, redirect_uris }: { name?: string | undefined; redirect_uris?: string[] | undefined },
): { metadata?: ClientMetadata } {
  if (name === undefined && redirect_uris === undefined) return {};
  if (row.source === 'cimd')
    throw new Problem(409, 'Name and redirect URIs of this client come from its metadata document.');
  return {
    metadata: metadataOf({
      ...row.metadata,
      ...(name === undefined ? {} : { client_name: name }),
      ...(redirect_uris === undefined ? {} : { redirect_uris }),
    }),
  };
}

function metadataOf(input: Record<string, unknown>): ClientMetadata {
  const read = readClientMetadata(input);
  if (!isFault(read)) return read;
  const at = read.error === 'invalid_redirect_uri' ? 'body.redirect_uris' : 'body';
  throw new Problem(400, 'The body of the request is not valid.', { faults: [{ at, message: read.description }] });
}
