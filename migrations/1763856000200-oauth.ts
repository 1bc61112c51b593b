import { Table, type MigrationInterface, type QueryRunner, type TableColumnOptions } from 'typeorm';

const text = (name: string): TableColumnOptions => ({ name, type: 'text' });
const key = (name: string): TableColumnOptions => ({ name, type: 'text', isPrimary: true });
const seconds = (name: string): TableColumnOptions => ({ name, type: 'bigint' });
const nullable = (column: TableColumnOptions): TableColumnOptions => ({ ...column, isNullable: true });
const unique = (column: TableColumnOptions): TableColumnOptions => ({ ...column, isUnique: true });

/** Clients, Grants, Tokens, browsers, Interactions, consents, signing keys, metadata documents, upstream tokens, used proof ids. */
export class Oauth1763856000200 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    for (const table of tables) await runner.createTable(new Table(table));
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const { name } of tables.toReversed()) await runner.dropTable(name);
  }
}

const tables = [
  {
    name: 'oauth_client',
    columns: [
      key('id'),
      text('source'),
      text('status'),
      text('name'),
      text('metadata'),
      unique(nullable(text('fingerprint'))),
      nullable(text('note')),
      { name: 'trusted', type: 'boolean' },
      { name: 'version', type: 'integer' },
      seconds('created_at'),
      nullable(seconds('last_used_at')),
    ],
    indices: [{ name: 'ix_oauth_client_used', columnNames: ['source', 'last_used_at'] }],
  },
  {
    name: 'oauth_grant',
    columns: [
      key('id'),
      text('user_id'),
      text('client_id'),
      nullable(text('provider')),
      text('scope'),
      nullable(text('widened')),
      text('resource'),
      nullable(text('redirect_uri')),
      text('payload'),
      seconds('created_at'),
      seconds('expires_at'),
      nullable(seconds('last_used_at')),
      nullable(seconds('revoked_at')),
    ],
    indices: [
      { name: 'ix_oauth_grant_user', columnNames: ['user_id', 'client_id'] },
      { name: 'ix_oauth_grant_client', columnNames: ['client_id'] },
      { name: 'ix_oauth_grant_expiry', columnNames: ['expires_at'] },
    ],
  },
  {
    name: 'oauth_token',
    columns: [
      key('id_hash'),
      text('kind'),
      nullable(text('grant_id')),
      nullable(text('user_id')),
      nullable(text('client_id')),
      nullable(seconds('consumed_at')),
      nullable(text('answer')),
      { name: 'failures', type: 'integer' },
      seconds('expires_at'),
      text('payload'),
    ],
    indices: [
      { name: 'ix_oauth_token_grant', columnNames: ['grant_id'] },
      { name: 'ix_oauth_token_user', columnNames: ['user_id'] },
      { name: 'ix_oauth_token_client', columnNames: ['client_id'] },
      { name: 'ix_oauth_token_expiry', columnNames: ['expires_at'] },
      { name: 'ix_oauth_token_answer', columnNames: ['consumed_at'], where: 'answer IS NOT NULL' },
    ],
  },
  {
    name: 'oauth_browser',
    columns: [key('id_hash'), unique(text('uid')), nullable(text('user_id')), seconds('expires_at'), text('payload')],
    indices: [
      { name: 'ix_oauth_browser_user', columnNames: ['user_id'] },
      { name: 'ix_oauth_browser_expiry', columnNames: ['expires_at'] },
    ],
  },
  {
    name: 'oauth_interaction',
    columns: [
      key('id'),
      nullable(text('client_id')),
      nullable(text('user_id')),
      seconds('expires_at'),
      text('payload'),
    ],
    indices: [{ name: 'ix_oauth_interaction_expiry', columnNames: ['expires_at'] }],
  },
  {
    name: 'oauth_consent',
    columns: [
      key('user_id'),
      key('client_id'),
      key('redirect_uri'),
      key('resource'),
      text('scope'),
      text('client_hash'),
      seconds('updated_at'),
    ],
    indices: [{ name: 'ix_oauth_consent_client', columnNames: ['client_id'] }],
  },
  {
    name: 'signing_key',
    columns: [
      key('kid'),
      text('alg'),
      unique(nullable(text('slot'))),
      text('sealed'),
      seconds('created_at'),
      seconds('signs_from'),
      nullable(seconds('expires_at')),
    ],
  },
  {
    name: 'cimd_document',
    columns: [
      key('url'),
      text('body'),
      text('content_type'),
      seconds('fetched_at'),
      seconds('fresh_until'),
      nullable(seconds('gone_at')),
    ],
  },
  {
    name: 'upstream_token',
    columns: [
      key('user_id'),
      key('provider'),
      nullable(text('grant_id')),
      text('sealed'),
      nullable(seconds('expires_at')),
      nullable(seconds('lease_until')),
      nullable(text('lease_holder')),
      seconds('updated_at'),
    ],
    indices: [{ name: 'ix_upstream_token_grant', columnNames: ['grant_id'] }],
  },
  {
    name: 'proof_id',
    columns: [key('id'), seconds('expires_at')],
    indices: [{ name: 'ix_proof_id_expiry', columnNames: ['expires_at'] }],
  },
];
