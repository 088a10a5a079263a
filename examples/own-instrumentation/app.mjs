import { lookup } from 'node:dns';

lookup('localhost', (error, address) => console.log(error ?? address));
