// RabbitMQ cannot be brought along as the databases can: the shop uses one that answers, or does without.
import amqp from 'amqplib';

const TIMEOUT_MS = 900;

/** @returns {Promise<{ url?: string, note: string }>} no `url` when no broker lets the shop in */
export async function findBroker() {
  const url = process.env.AMQP_URL || 'amqp://guest:guest@127.0.0.1:5672';
  // Without the password that may be in it.
  const place = URL.canParse(url) ? new URL(url).host : 'AMQP_URL';
  try {
    const connection = await amqp.connect(url, { timeout: TIMEOUT_MS });
    await connection.close();
    return { url, note: `the broker on ${place}` };
  } catch ({ code, message }) {
    const reason = code ?? message.split(' with message')[0];
    return { note: `none on ${place} (${reason}), so what is ordered is not shipped` };
  }
}
