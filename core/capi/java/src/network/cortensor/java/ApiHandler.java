package network.cortensor.java;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpHandler;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;

/**
 * The REST API and the APIs of OpenAI and others for the server of the JDK, {@code com.sun.net.httpserver}: routes, tokens
 * and limits are those of the listener. Give the server an executor with as many threads as requests may run at once.
 */
public final class ApiHandler implements HttpHandler {
    private final Handle handle;

    ApiHandler(long pointer) {
        handle = new Handle("handler", pointer, Library::cortensor_http_handler_free).collected(this);
    }

    /**
     * Answers a request. A client that goes away cancels its task, as soon as a piece for it cannot be sent.
     *
     * @param exchange the request
     * @throws IOException the client has gone, or the body broke off; the server then closes the connection
     */
    @Override
    public void handle(HttpExchange exchange) throws IOException {
        try {
            byte[] head = head(exchange);
            byte[] body = body(exchange);
            byte[] peer = Handle.utf8(exchange.getRemoteAddress().getAddress().getHostAddress());
            Handle response = new Handle("response", handle.giving((handler, out, err) ->
                    Library.cortensor_http_handler_handle(
                            handler, head, head.length, body, body.length, peer, peer.length, out, err)),
                    Library::cortensor_http_response_free);
            try {
                answer(exchange, response);
            } finally {
                // Before the end of the body this tells the router that the client has gone.
                response.free();
            }
            // Only here: after a fault this would end the body as if it were whole.
            exchange.close();
        } catch (RouterException error) {
            throw new IOException(error.getMessage(), error);
        }
    }

    private static byte[] head(HttpExchange exchange) {
        StringBuilder head = new StringBuilder();
        head.append(exchange.getRequestMethod()).append(' ').append(exchange.getRequestURI()).append(" HTTP/1.1\r\n");
        exchange.getRequestHeaders().forEach((name, values) ->
                values.forEach(value -> head.append(name).append(": ").append(value).append("\r\n")));
        return head.append("\r\n").toString().getBytes(StandardCharsets.ISO_8859_1);
    }

    /** The body, with one byte more than the library takes: it refuses such a body itself. */
    private byte[] body(HttpExchange exchange) throws IOException {
        long[] most = new long[1];
        handle.doing((handler, err) -> {
            most[0] = Library.cortensor_http_handler_max_body_bytes(handler);
            return Library.OK;
        });
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        byte[] part = new byte[8192];
        InputStream given = exchange.getRequestBody();
        int read = given.read(part);
        while (read >= 0 && body.size() <= most[0]) {
            body.write(part, 0, read);
            read = given.read(part);
        }
        return body.toByteArray();
    }

    private static void answer(HttpExchange exchange, Handle response) throws IOException {
        short[] status = new short[1];
        byte[] lines = response.bytes((pointer, out, err) ->
                Library.cortensor_http_response_head(pointer, Library.FOREVER, status, out, err));
        long length = 0;
        for (String line : new String(lines, StandardCharsets.ISO_8859_1).split("\r\n")) {
            int colon = line.indexOf(':');
            String name = colon < 0 ? "" : line.substring(0, colon);
            if (name.equalsIgnoreCase("content-length")) {
                length = Long.parseLong(line.substring(colon + 1).strip());
            } else if (!name.isEmpty()) {
                exchange.getResponseHeaders().add(name, line.substring(colon + 1).strip());
            }
        }
        boolean empty = exchange.getRequestMethod().equals("HEAD") || status[0] == 204 || status[0] == 304;
        // 0 means pieces of unknown number, -1 no body.
        exchange.sendResponseHeaders(status[0], empty ? -1 : length);
        OutputStream body = exchange.getResponseBody();
        byte[] piece = piece(response);
        while (piece != null && !empty) {
            body.write(piece);
            body.flush();
            piece = piece(response);
        }
    }

    /** The next piece of the body; null after the last one. */
    private static byte[] piece(Handle response) {
        try {
            return response.bytes((pointer, out, err) ->
                    Library.cortensor_http_response_next(pointer, Library.FOREVER, out, err));
        } catch (RouterException.ClosedException closed) {
            if (closed.code().equals("body_over")) {
                return null;
            }
            throw closed;
        }
    }
}
