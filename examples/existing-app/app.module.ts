import { type DynamicModule, Module } from '@nestjs/common';
import { GatehouseModule, staticToken } from '../../src/index.js';
import { ShopModule } from './shop.module.js';

/** The application that was there before, and Gatehouse beside it, configured by code. */
@Module({})
export class AppModule {
  /** @param publicUrl origin as clients see it, for example https://shop.example.com */
  static at(publicUrl: string, secret: string): DynamicModule {
    return {
      module: AppModule,
      imports: [
        ShopModule,
        GatehouseModule.forRoot({
          publicUrl,
          secret,
          databaseUrl: 'sqlite::memory:',
          providers: [staticToken({ tokens: { 'shop-token-123': { client_id: 'till', scopes: ['mcp'] } } })],
        }),
      ],
    };
  }
}
