import type { MigrationInterface, QueryRunner } from 'typeorm';

/** A Grant ends with its last token; before, each was given a year. Ones that were revoked stay as they are. */
export class GrantEnds1763856001100 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`UPDATE oauth_grant SET expires_at = COALESCE(
      (SELECT MAX(t.expires_at) FROM oauth_token t WHERE t.grant_id = oauth_grant.id AND t.kind IN ('AccessToken', 'RefreshToken')),
      created_at + 900) WHERE revoked_at IS NULL`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('UPDATE oauth_grant SET expires_at = created_at + 31536000 WHERE revoked_at IS NULL');
  }
}
