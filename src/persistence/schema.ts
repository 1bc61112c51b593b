import { Foundation1763856000000 } from '../../migrations/1763856000000-foundation.js';
import { Users1763856000100 } from '../../migrations/1763856000100-users.js';
import { Oauth1763856000200 } from '../../migrations/1763856000200-oauth.js';
import { Attempts1763856000300 } from '../../migrations/1763856000300-attempts.js';
import { Account1763856000500 } from '../../migrations/1763856000500-account.js';
import { Flows1763856000700 } from '../../migrations/1763856000700-flows.js';
import { Identities1763856000800 } from '../../migrations/1763856000800-identities.js';
import { GrantReferences1763856000900 } from '../../migrations/1763856000900-grant-references.js';
import { GrantEnds1763856001100 } from '../../migrations/1763856001100-grant-ends.js';
import { PersonalTokenRow } from '../access/personal-token.entity.js';
import { ProofIdRow } from '../access/proof-id.entity.js';
import { RevocationRow } from '../access/revocation.entity.js';
import { AccountSignInRow } from '../account/account-sign-in.entity.js';
import { StepUpLinkRow } from '../account/step-up-link.entity.js';
import { EventRow } from '../audit/event.entity.js';
import { FlowRow, FlowStepRow } from '../audit/flow.entity.js';
import { AttemptRow } from '../oauth/attempt.entity.js';
import { BrowserRow } from '../oauth/browser.entity.js';
import { CimdDocumentRow } from '../oauth/cimd-document.entity.js';
import { ClientRow } from '../oauth/client.entity.js';
import { ConsentRow } from '../oauth/consent.entity.js';
import { GrantRow } from '../oauth/grant.entity.js';
import { InteractionRow } from '../oauth/interaction.entity.js';
import { SigningKeyRow } from '../oauth/signing-key.entity.js';
import { TokenRow } from '../oauth/token.entity.js';
import { UpstreamTokenRow } from '../oauth/upstream-token.entity.js';
import { AdmissionRow } from '../users/admission.entity.js';
import { IdentityRow, UserRow } from '../users/user.entity.js';

/** Every table, by the room that owns it. */
export const entities = [
  EventRow,
  FlowRow,
  FlowStepRow,
  PersonalTokenRow,
  RevocationRow,
  ProofIdRow,
  AttemptRow,
  BrowserRow,
  CimdDocumentRow,
  ClientRow,
  ConsentRow,
  GrantRow,
  InteractionRow,
  SigningKeyRow,
  TokenRow,
  UpstreamTokenRow,
  AccountSignInRow,
  StepUpLinkRow,
  AdmissionRow,
  IdentityRow,
  UserRow,
] as const;

/** In the order in which they run. */
export const migrations = [
  Foundation1763856000000,
  Users1763856000100,
  Oauth1763856000200,
  Attempts1763856000300,
  Account1763856000500,
  Flows1763856000700,
  Identities1763856000800,
  GrantReferences1763856000900,
  GrantEnds1763856001100,
] as const;
