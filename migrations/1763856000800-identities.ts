import { Table, TableColumn, type MigrationInterface, type QueryRunner, type TableColumnOptions } from 'typeorm';

const key = (name: string): TableColumnOptions => ({ name, type: 'text', isPrimary: true });
const text = (name: string): TableColumnOptions => ({ name, type: 'text' });
const seconds = (name: string): TableColumnOptions => ({ name, type: 'bigint' });
const nullable = (column: TableColumnOptions): TableColumnOptions => ({ ...column, isNullable: true });

/**
 * Upstream tokens and verdicts of allow rules belong to an account (provider and subject) instead of a person and a provider; a Grant knows the account
 * it was signed in with; a sign-in to the account page keeps the id_token for signing out at the provider.
 */
export class Identities1763856000800 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await replace(runner, upstreamToken, [
      'ix_upstream_token_grant',
      `INSERT INTO upstream_token (provider, subject, user_id, grant_id, sealed, version, expires_at, lease_until, lease_holder, updated_at)
        SELECT o.provider, i.subject, o.user_id, o.grant_id, NULLIF(o.sealed, ''), 1, o.expires_at, o.lease_until, o.lease_holder, o.updated_at
        FROM upstream_token_old o JOIN (${LATEST}) i ON i.user_id = o.user_id AND i.provider = o.provider AND i.place = 1`,
    ]);
    await replace(runner, admission, [
      null,
      `INSERT INTO admission (provider, subject, user_id, tried_at, admitted_at, refused_at)
        SELECT o.provider, i.subject, o.user_id, o.tried_at, o.admitted_at, o.refused_at
        FROM admission_old o JOIN (${LATEST}) i ON i.user_id = o.user_id AND i.provider = o.provider AND i.place = 1`,
    ]);
    await runner.addColumn('oauth_grant', new TableColumn(nullable(text('subject'))));
    // Where a person has several accounts at the provider, nothing says which of them it was.
    await runner.query(
      `UPDATE oauth_grant SET subject = (SELECT MIN(i.subject) FROM identity i WHERE i.user_id = oauth_grant.user_id AND i.provider = oauth_grant.provider)
        WHERE (SELECT COUNT(*) FROM identity i WHERE i.user_id = oauth_grant.user_id AND i.provider = oauth_grant.provider) = 1`,
    );
    await runner.addColumn('account_sign_in', new TableColumn(nullable(text('id_token'))));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropColumn('account_sign_in', 'id_token');
    await runner.dropColumn('oauth_grant', 'subject');
    await replace(runner, formerAdmission, [
      'ix_admission_user',
      `INSERT INTO admission (user_id, provider, tried_at, admitted_at, refused_at)
        SELECT o.user_id, o.provider, o.tried_at, o.admitted_at, o.refused_at
        FROM admission_old o JOIN (${LATEST}) i ON i.provider = o.provider AND i.subject = o.subject AND i.place = 1`,
    ]);
    await replace(runner, formerUpstreamToken, [
      'ix_upstream_token_user',
      `INSERT INTO upstream_token (user_id, provider, grant_id, sealed, expires_at, lease_until, lease_holder, updated_at)
        SELECT o.user_id, o.provider, o.grant_id, COALESCE(o.sealed, ''), o.expires_at, o.lease_until, o.lease_holder, o.updated_at
        FROM upstream_token_old o JOIN (${LATEST}) i ON i.provider = o.provider AND i.subject = o.subject AND i.place = 1`,
    ]);
  }
}

/** Accounts, the one most recently signed in with at place 1 of each person and provider: the sign-in from which the one kept row came. */
const LATEST = `SELECT provider, subject, user_id,
  ROW_NUMBER() OVER (PARTITION BY user_id, provider ORDER BY last_used_at DESC, created_at DESC, subject) AS place FROM identity`;

/** Puts a table in the place of one of the same name; `copy` reads the former rows from `<name>_old`. */
async function replace(
  runner: QueryRunner,
  table: { name: string; columns: TableColumnOptions[]; indices?: { name: string; columnNames: string[] }[] },
  [formerIndex, copy]: [string | null, string],
): Promise<void> {
  if (formerIndex) await runner.query(`DROP INDEX ${formerIndex}`);
  await runner.query(`ALTER TABLE ${table.name} RENAME TO ${table.name}_old`);
  await runner.createTable(new Table(table));
  await runner.query(copy);
  await runner.query(`DROP TABLE ${table.name}_old`);
}

const upstreamToken = {
  name: 'upstream_token',
  columns: [
    key('provider'),
    key('subject'),
    text('user_id'),
    nullable(text('grant_id')),
    nullable(text('sealed')),
    { name: 'version', type: 'integer' },
    nullable(seconds('expires_at')),
    nullable(seconds('lease_until')),
    nullable(text('lease_holder')),
    seconds('updated_at'),
  ],
  indices: [{ name: 'ix_upstream_token_user', columnNames: ['user_id', 'provider'] }],
};

const formerUpstreamToken = {
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
};

const verdict = [seconds('tried_at'), nullable(seconds('admitted_at')), nullable(seconds('refused_at'))];
const admission = {
  name: 'admission',
  columns: [key('provider'), key('subject'), text('user_id'), ...verdict],
  indices: [{ name: 'ix_admission_user', columnNames: ['user_id'] }],
};
const formerAdmission = { name: 'admission', columns: [key('user_id'), key('provider'), ...verdict] };
