import { operation } from './operation.js';
import { clientChange, clientQuery, clientSchema, clientWish, newClientSchema } from './client-schemas.js';
import { pageOf } from './paging.js';
import { idParams } from './values.js';

/** GET /clients */
export const listClients = operation({
  id: 'listClients',
  method: 'get',
  path: '/clients',
  tag: 'Clients',
  summary: 'MCP client applications, newest first',
  query: clientQuery,
  status: 200,
  answer: pageOf(clientSchema),
});

/** POST /clients */
export const createClient = operation({
  id: 'createClient',
  method: 'post',
  path: '/clients',
  tag: 'Clients',
  summary: 'Pre-register a client, or admit one by its metadata document',
  description:
    'With `client_id`, the address of a client ID metadata document, the client is admitted as that document describes it, whatever GATEHOUSE_REGISTRATION says; the document is read at once. A client that is known already is 409: change its status.',
  body: clientWish,
  status: 201,
  answer: newClientSchema,
  etag: true,
  problems: [409],
});

/** GET /clients/:id */
export const getClient = operation({
  id: 'getClient',
  method: 'get',
  path: '/clients/:id',
  tag: 'Clients',
  summary: 'One client; the id of a metadata document client is its URL, percent-encoded',
  params: idParams,
  status: 200,
  answer: clientSchema,
  etag: true,
  problems: [404],
});

/** PATCH /clients/:id */
export const changeClient = operation({
  id: 'changeClient',
  method: 'patch',
  path: '/clients/:id',
  tag: 'Clients',
  summary: 'Approve, suspend, block or edit a client',
  description:
    'Blocking cuts off its tokens at once. A client that is described by a metadata document takes name and redirect URIs from there: changing them is 409.',
  params: idParams,
  body: clientChange,
  status: 200,
  answer: clientSchema,
  etag: true,
  ifMatch: 'required',
  problems: [404, 409],
});

/** DELETE /clients/:id */
export const removeClient = operation({
  id: 'removeClient',
  method: 'delete',
  path: '/clients/:id',
  tag: 'Clients',
  summary: 'Forget a client with its Grants and tokens',
  params: idParams,
  status: 204,
  answer: null,
  ifMatch: 'optional',
  problems: [404],
});
