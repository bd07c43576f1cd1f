import io.apicurio.registry.serde.avro.AvroKafkaSerializer;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;

/** Sends messages, one for each line: partition, timestamp, kind and bytes in hex, with tabs between. A record's bytes
    are its fields as JSON. */
public class AvroProducer {
    public static void main(String[] arguments) throws Exception {
        Schema schema = new Schema.Parser().parse(arguments[3]);
        Map<String, Object> settings = new HashMap<>();
        settings.put("apicurio.registry.url", arguments[2]);
        settings.put("apicurio.registry.auto-register", true);
        settings.put("apicurio.registry.headers.enabled", false);
        settings.put("apicurio.registry.use-id", "contentId");
        settings.put("apicurio.registry.id-handler", "io.apicurio.registry.serde.Legacy4ByteIdHandler");
        AvroKafkaSerializer<GenericRecord> serializer = new AvroKafkaSerializer<>();
        serializer.configure(settings, false);
        Map<String, Object> client = Map.of(
            "bootstrap.servers", arguments[0], "max.in.flight.requests.per.connection", 1, "acks", "all");
        ObjectMapper mapper = new ObjectMapper();
        List<Future<?>> sent = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(client, new ByteArraySerializer(), new ByteArraySerializer());
             BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                String[] parts = line.split("\t", -1);
                byte[] value = parts.length < 4 ? null : HexFormat.of().parseHex(parts[3]);
                if (parts[2].equals("record")) {
                    value = serializer.serialize(arguments[1], recordOf(schema, mapper.readTree(value)));
                }
                sent.add(producer.send(new ProducerRecord<>(
                    arguments[1], Integer.valueOf(parts[0]), Long.valueOf(parts[1]), null, value)));
            }
            for (Future<?> each : sent) {
                each.get();
            }
        }
    }

    private static GenericRecord recordOf(Schema schema, JsonNode fields) {
        GenericRecord record = new GenericData.Record(schema);
        for (Schema.Field field : schema.getFields()) {
            record.put(field.pos(), fields.has(field.name()) ? fields.get(field.name()).textValue() : null);
        }
        return record;
    }
}
