import { changeClient, createClient, getClient, listClients, removeClient } from './client-operations.js';
import { listEvents } from './events.controller.js';
import { getGrant, listGrants, revokeGrant } from './grants.controller.js';
import type { Operation } from './operation.js';
import { getStats, listFlows, listKeys, listProviders, rotateKeys } from './system.controller.js';
import { createToken, getToken, listTokens, revokeToken } from './tokens.controller.js';
import {
  changeUser,
  eraseUser,
  getUser,
  listUserEvents,
  listUserGrants,
  listUsers,
  listUserTokens,
} from './user-operations.js';

/** Every operation of the admin API, in the order of its documents. */
export const operations: readonly Operation[] = [
  listUsers,
  getUser,
  changeUser,
  eraseUser,
  listUserGrants,
  listUserTokens,
  listUserEvents,
  listClients,
  createClient,
  getClient,
  changeClient,
  removeClient,
  listGrants,
  getGrant,
  revokeGrant,
  listTokens,
  createToken,
  getToken,
  revokeToken,
  listEvents,
  listProviders,
  listKeys,
  rotateKeys,
  listFlows,
  getStats,
];
