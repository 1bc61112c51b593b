import { operation } from './operation.js';
import { eventSchema, userEventQuery } from './event-schemas.js';
import { grantSchema, userGrantQuery } from './grant-schemas.js';
import { pageOf } from './paging.js';
import { tokenSchema, userTokenQuery } from './token-schemas.js';
import { userChange, userQuery, userSchema } from './user-schemas.js';
import { idParams } from './values.js';

/** GET /users */
export const listUsers = operation({
  id: 'listUsers',
  method: 'get',
  path: '/users',
  tag: 'Users',
  summary: 'People, newest first',
  query: userQuery,
  status: 200,
  answer: pageOf(userSchema),
});

/** GET /users/:id */
export const getUser = operation({
  id: 'getUser',
  method: 'get',
  path: '/users/:id',
  tag: 'Users',
  summary: 'One person',
  params: idParams,
  status: 200,
  answer: userSchema,
  etag: true,
  problems: [404],
});

/** PATCH /users/:id */
export const changeUser = operation({
  id: 'changeUser',
  method: 'patch',
  path: '/users/:id',
  tag: 'Users',
  summary: 'Block, unblock, set roles',
  description:
    'Blocking ends every Grant, token and sign-in of the person at once; unblocking lets them sign in again and brings nothing back.',
  params: idParams,
  body: userChange,
  status: 200,
  answer: userSchema,
  etag: true,
  ifMatch: 'required',
  problems: [404],
});

/** DELETE /users/:id */
export const eraseUser = operation({
  id: 'eraseUser',
  method: 'delete',
  path: '/users/:id',
  tag: 'Users',
  summary: 'Erase a person’s data',
  description:
    'Name, address, accounts, Grants, tokens and sealed upstream tokens are deleted. Events keep the bare id, which then leads to nobody.',
  params: idParams,
  status: 204,
  answer: null,
  ifMatch: 'optional',
  problems: [404],
});

/** GET /users/:id/grants */
export const listUserGrants = operation({
  id: 'listUserGrants',
  method: 'get',
  path: '/users/:id/grants',
  tag: 'Users',
  summary: 'A person’s Grants, newest first',
  params: idParams,
  query: userGrantQuery,
  status: 200,
  answer: pageOf(grantSchema),
  problems: [404],
});

/** GET /users/:id/tokens */
export const listUserTokens = operation({
  id: 'listUserTokens',
  method: 'get',
  path: '/users/:id/tokens',
  tag: 'Users',
  summary: 'A person’s personal tokens, newest first',
  params: idParams,
  query: userTokenQuery,
  status: 200,
  answer: pageOf(tokenSchema),
  problems: [404],
});

/** GET /users/:id/events */
export const listUserEvents = operation({
  id: 'listUserEvents',
  method: 'get',
  path: '/users/:id/events',
  tag: 'Users',
  summary: 'Events that concern a person, newest first',
  description: 'Answers for erased people too: the audit log keeps their bare id.',
  params: idParams,
  query: userEventQuery,
  status: 200,
  answer: pageOf(eventSchema),
});
