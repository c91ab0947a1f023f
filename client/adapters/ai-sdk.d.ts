import { type ChatTransport, DefaultChatTransport, type HttpChatTransportInitOptions, type UIMessage } from 'ai';

export interface RunChatTransportOptions<MESSAGE extends UIMessage>
  extends HttpChatTransportInitOptions<MESSAGE> {
  /**
   * Called where no answer is under way, also if it has ended while the page was away. Load the
   * stored messages here: such an answer is not streamed.
   */
  onIdle?: (chatId: string) => void;
}

/**
 * For `useChat`, with a backend that has barestream run the answers. It asks
 * `POST {api}` to start an answer, `GET {api}/{chatId}/stream` to follow the one that is under way,
 * and `DELETE {api}/{chatId}` to stop it. If the connection is cut, the answer goes on where it was.
 */
export class RunChatTransport<MESSAGE extends UIMessage = UIMessage>
  extends DefaultChatTransport<MESSAGE>
  implements ChatTransport<MESSAGE>
{
  constructor(options?: RunChatTransportOptions<MESSAGE>);
  /**
   * Stop the answer, in all tabs. `stop` of `useChat` only cuts this page's connection, as does
   * its unmounting.
   *
   * @throws Error The backend has not stopped it.
   */
  stop(chatId: string): Promise<void>;
}
