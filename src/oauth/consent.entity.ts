import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { seconds } from '../persistence/columns.js';

/** A remembered approval: this person, this Client, this place to return to, this resource. */
@Entity('oauth_consent')
@Index('ix_oauth_consent_client', ['clientId'])
export class ConsentRow {
  @PrimaryColumn('text', { name: 'user_id' }) userId!: string;
  @PrimaryColumn('text', { name: 'client_id' }) clientId!: string;
  /** A loopback URI without its port: native clients use another one each time. */
  @PrimaryColumn('text', { name: 'redirect_uri' }) redirectUri!: string;
  @PrimaryColumn('text') resource!: string;
  /** Space-separated, approved so far. */
  @Column('text') scope!: string;
  /** SHA-256 of the Client's name and redirect URIs when the person approved: another value asks anew. */
  @Column('text', { name: 'client_hash' }) clientHash!: string;
  @Column({ name: 'updated_at', ...seconds }) updatedAt!: number;
}
