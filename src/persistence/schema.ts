import { Foundation1763856000000 } from '../../migrations/1763856000000-foundation.js';
import { Oauth1763856000200 } from '../../migrations/1763856000200-oauth.js';
import { PersonalTokenRow } from '../access/personal-token.entity.js';
import { ProofIdRow } from '../access/proof-id.entity.js';
import { RevocationRow } from '../access/revocation.entity.js';
import { EventRow } from '../audit/event.entity.js';
import { BrowserRow } from '../oauth/browser.entity.js';
import { CimdDocumentRow } from '../oauth/cimd-document.entity.js';
import { ClientRow } from '../oauth/client.entity.js';
import { ConsentRow } from '../oauth/consent.entity.js';
import { GrantRow } from '../oauth/grant.entity.js';
import { InteractionRow } from '../oauth/interaction.entity.js';
import { SigningKeyRow } from '../oauth/signing-key.entity.js';
import { TokenRow } from '../oauth/token.entity.js';
import { UpstreamTokenRow } from '../oauth/upstream-token.entity.js';

/** Every table, by the room that owns it. */
export const entities = [
  EventRow,
  PersonalTokenRow,
  RevocationRow,
  ProofIdRow,
  BrowserRow,
  CimdDocumentRow,
  ClientRow,
  ConsentRow,
  GrantRow,
  InteractionRow,
  SigningKeyRow,
  TokenRow,
  UpstreamTokenRow,
] as const;

/** In the order in which they run. */
export const migrations = [Foundation1763856000000, Oauth1763856000200] as const;
